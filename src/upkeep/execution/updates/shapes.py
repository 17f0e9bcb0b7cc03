"""Which columns the records of a page have, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from upkeep.exceptions import InvalidUpdate
from upkeep.execution.updates.changes import Kind, Values

if TYPE_CHECKING:
    from django.db.models import Model

    from upkeep.execution.updates.columns import Column

DELETED = object()


class Shape:
    """
    The columns that were loaded, in a form that costs little for each record.

    `untold` are columns that nobody minds: the engine itself sets them.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        before: Values,
        *,
        untold: Sequence[Column],
        unguarded: Sequence[Column],
    ) -> None:
        told = [each for each in columns if each not in untold]
        self.watched = [
            (each.attribute, each) for each in told if each.attribute in before
        ]
        self.absent = [each for each in told if each.attribute not in before]
        self.guarded = tuple(
            each
            for each in columns
            if each.attribute in before and each not in unguarded
        )
        self.guards = picker([each.memory for each in self.guarded])
        self.kinds: dict[tuple[Column, ...], Kind] = {}

    def touched(self, record: Model, before: Values) -> tuple[Column, ...]:
        """Return the columns that `process` gave another value."""
        after = record.__dict__
        for column in self.absent:
            if column.attribute in after:
                raise self._was_not_loaded(record, column)
        return tuple(
            [
                column
                for attribute, column in self.watched
                # What was deleted from a record is fetched anew when it is used.
                if (new := after.get(attribute, DELETED)) is not before[attribute]
                and new is not DELETED
                and column.differs(before[attribute], new)
            ]
        )

    def kind(self, changed: tuple[Column, ...], stamps: Sequence[Column]) -> Kind:
        """Return the columns of a change; equal ones are the same."""
        if (kind := self.kinds.get(changed)) is None:
            written = (*changed, *(each for each in stamps if each not in changed))
            kind = self.kinds[changed] = Kind(written, self.guarded)
        return kind

    def _was_not_loaded(self, record: Model, column: Column) -> InvalidUpdate:
        return InvalidUpdate(
            f"process() used {column.name} of {record._meta.label} {record.pk}, which "
            "the collection does not load, so that nobody would notice if somebody "
            f"else changed it meanwhile: add {column.name!r} to only(), or take it out "
            "of defer()."
        )


def picker(names: Sequence[str]) -> Callable[[Values], tuple[Any, ...]]:
    """Return what gives a tuple of these values."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple([values[name] for name in names])
