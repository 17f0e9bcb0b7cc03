"""Tables of MariaDB that no rollback reaches: refused, or told of in the story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.databases import tables_without_transactions
from upkeep.exceptions import InvalidTask
from upkeep.tasks.collections.querysets import RecordsCollection

if TYPE_CHECKING:
    from django.db.models import Model

    from upkeep.tasks.base import Task
    from upkeep.tasks.collections.base import Collection


def refuse(model: type[Model], name: str, alias: str) -> None:
    """Refuse a model whose rows the engine would write where nothing is undone."""
    for table, engine in _tables_of(model, alias).items():
        raise InvalidTask(
            f"{name} are saved in the transaction of their chunk, and {table} is in "
            f"{engine}, which has none: ALTER TABLE {table} ENGINE = InnoDB, or leave "
            f"{name} out, say atomic = False and save in process()."
        )


def warnings(task: Task, collection: Collection[Any], alias: str) -> list[str]:
    """
    Return what the story of a run is to say of the tables that it walks.

    A task may read such a table and write to others, so that is not refused. Of what
    is left to the engine it is known what is written.
    """
    if not task.atomic or task.left_to_engine():
        return []
    if not isinstance(collection, RecordsCollection):
        return []
    return [
        f"The table {table} is in {engine}, which has no transactions: what process() "
        "writes there is not undone when a chunk is rolled back, and is done again. "
        f"ALTER TABLE {table} ENGINE = InnoDB; or say atomic = False, which promises "
        "no more than that."
        for table, engine in _tables_of(collection.records.model, alias).items()
    ]


def _tables_of(model: type[Model], alias: str) -> dict[str, str]:
    models = [model, *model._meta.all_parents]
    tables = {each._meta.db_table for each in models}
    return tables_without_transactions(alias, tables)
