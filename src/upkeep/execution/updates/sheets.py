"""Records that a page has in hand: what they were, and what `process` made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING

from django.db.models import Model

from upkeep.execution.updates.changes import Pick, Values, alike, between

if TYPE_CHECKING:
    from upkeep.execution.updates.columns import Column
    from upkeep.execution.updates.shapes import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """
    Records with the same columns, and what they were before `process` had them.

    It has a list for each column and not for each record: most columns stay as they
    are in all records, and that they do is seen at once.
    """

    shape: Shape
    places: Sequence[int]
    records: Sequence[Model]
    before: Mapping[str, Values]
    """What they were, by the names of attributes."""

    writes: int | None
    """How many rows were written before they were read, where that tells something."""

    def having(self, pick: Pick) -> Sheet:
        """Return a sheet of some of the records."""
        return Sheet(
            self.shape,
            pick(self.places),
            pick(self.records),
            {name: pick(values) for name, values in self.before.items()},
            self.writes,
        )

    def part(self, start: int, number: int) -> Sheet:
        """Return the records of so many places from one on, by the places behind it."""
        first, last = (
            bisect_left(self.places, place) for place in (start, start + number)
        )
        part = self.having(between(first, last))
        return replace(part, places=[place - start for place in part.places])

    def one_by_one(self) -> Iterator[Sheet]:
        """Yield a sheet for each record."""
        for place in range(len(self.records)):
            yield self.having(between(place, place + 1))

    def changed(self) -> Iterator[tuple[tuple[Column, ...], Sheet]]:
        """Yield columns that `process` changed, and the records in which it did."""
        differing = self._differing()
        flags = list(zip(*differing.values(), strict=True))
        for pattern, pick in alike(flags, key=tuple):
            if columns := tuple(compress(differing, pattern)):
                yield columns, self.having(pick)

    def _differing(self) -> dict[Column, Sequence[bool]]:
        """Return which columns differ from before, and of which records."""
        now = list(map(vars, self.records))
        found = {}
        for column in self.shape.watched:
            before = self.before[column.attribute]
            if flags := column.differing(before, column.of(now, before)):
                found[column] = flags
        return found
