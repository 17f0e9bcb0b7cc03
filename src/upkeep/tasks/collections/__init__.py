"""What a task can walk, and the choice of the collection that walks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Manager, QuerySet

from upkeep.exceptions import InvalidCollection
from upkeep.tasks.collections.base import Collection, Cursor, Page, described
from upkeep.tasks.collections.batches import Batches, BatchesCollection
from upkeep.tasks.collections.files import FileBatches, FileCollection, RowsFile
from upkeep.tasks.collections.once import Once
from upkeep.tasks.collections.querysets import QuerySetCollection
from upkeep.tasks.collections.sequences import SequenceCollection

__all__ = ["Collection", "Cursor", "Once", "Page", "collect"]


def collect(
    value: object,
    *,
    alias: str,
    cursor_fields: Sequence[str] | None = None,
    bounded: bool = False,
    in_transaction: bool = True,
) -> Collection[Any]:
    """
    Return the collection that walks what a task's `collection()` returned.

    Records are read from the database `alias`, in the order of `cursor_fields`, and
    where they are `bounded` only to where they end now; each page inside of a
    transaction, or of none. Raises InvalidCollection for what cannot be walked from
    the middle.
    """
    options: dict[str, Any] = {
        "fields": cursor_fields or (),
        "bounded": bounded,
        "in_transaction": in_transaction,
    }
    match value:
        case Manager():
            return QuerySetCollection(value.all(), alias, **options)
        case QuerySet():
            return QuerySetCollection(value, alias, **options)
        case Batches():
            return BatchesCollection(value, alias, **options)
    if cursor_fields or bounded:
        raise InvalidCollection(
            f"collection() returned {described(value)}, and cursor_fields and bounded "
            "are for QuerySets and Batches: leave them out."
        )
    return _collect_others(value)


def _collect_others(value: object) -> Collection[Any]:
    match value:
        case Collection():
            return value
        case RowsFile():
            return FileCollection(value)
        case FileBatches():
            return FileCollection(value.file, batch=value.size)
        case Sequence() if not isinstance(value, str | bytes | bytearray | memoryview):
            return SequenceCollection(value)
    raise InvalidCollection(
        f"collection() returned {described(value)}, which cannot be walked. Return a "
        "QuerySet, Batches(queryset), a list or another sequence, or a CSV or other "
        "file parameter or its in_batches(size); for anything else write "
        "iterate(cursor)."
    )
