"""Which columns the records of a page have, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from upkeep.exceptions import InvalidUpdate
from upkeep.execution.updates.changes import Kind

if TYPE_CHECKING:
    from django.db.models import Model

    from upkeep.execution.updates.changes import Values
    from upkeep.execution.updates.columns import Attributes, Column


class Shape:
    """
    The columns that records have loaded, by the names of what they carry.

    `untold` are columns that nobody minds: the engine itself sets them.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        names: Collection[str],
        *,
        untold: Collection[Column],
        unguarded: Collection[Column],
    ) -> None:
        loaded = [each for each in columns if each.attribute in names]
        self.watched = [each for each in loaded if each not in untold]
        self.guarded = tuple(each for each in loaded if each not in unguarded)
        self.mutable = [each for each in loaded if not each.is_known]
        self.apart = [each for each in loaded if each.memory not in names]
        self.absent = {
            each.attribute: each
            for each in columns
            if each not in loaded and each not in untold
        }
        known_by = {each.memory for each in loaded if each.memory in names}
        self.remembered = {each.attribute for each in loaded} | known_by
        self.deletion = Kind((), self.guarded, is_deletion=True)

    def kept(self, records: Sequence[Attributes]) -> dict[str, Values]:
        """Return what is remembered of records, column by column."""
        columns: dict[str, Values] = {
            name: list(map(itemgetter(name), records)) for name in self.remembered
        }
        for column in self.mutable:
            columns[column.attribute] = column.kept(columns[column.attribute])
        return columns

    def refuse_unguarded(self, records: Sequence[Model]) -> None:
        """Refuse what `process` may have used of records, and what nobody guards."""
        for column in self.apart:
            raise self._was_loaded_apart(records[0], column)
        is_unused = frozenset(self.absent).isdisjoint
        if not all(map(is_unused, map(vars, records))):
            record = next(each for each in records if not is_unused(vars(each)))
            name = next(name for name in self.absent if name in vars(record))
            raise self._was_not_loaded(record, self.absent[name])

    def _was_not_loaded(self, record: Model, column: Column) -> InvalidUpdate:
        return InvalidUpdate(
            f"process() used {column.name} of {record._meta.label} {record.pk}, which "
            "the collection does not load, so that nobody would notice if somebody "
            f"else changed it meanwhile: add {column.name!r} to only(), or take it out "
            "of defer()."
        )

    def _was_loaded_apart(self, record: Model, column: Column) -> InvalidUpdate:
        return InvalidUpdate(
            f"{column.name} of {record._meta.label} {record.pk} was not loaded by the "
            "collection but apart from it, so that nobody would notice if somebody "
            f"else changed it: add {column.name!r} to only(), or take it out of "
            "defer()."
        )
