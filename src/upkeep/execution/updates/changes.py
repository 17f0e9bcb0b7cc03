"""What is to be written: columns of new values, and what the rows must still be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db.models import Model

if TYPE_CHECKING:
    from upkeep.execution.updates.columns import Column

Values = Sequence[Any]  # One for each record.
Pick = Callable[[Values], Values]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The columns of changes that one statement can write together."""

    changed: tuple[Column, ...]
    guarded: tuple[Column, ...]
    is_deletion: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """Records of which the same columns changed, as the database is told of them."""

    kind: Kind
    places: Sequence[int]
    """Where they are among the items that were remembered."""

    records: Sequence[Model]
    before: Mapping[str, Values]
    """What they were, by the names of attributes."""

    keys: Sequence[Values]
    values: Sequence[Values]
    """What each of the changed columns is to be."""

    guards: Sequence[Values]
    """What each of the loaded columns must still be."""

    writes: int | None
    """How many rows were written before they were read, where that tells something."""

    def __len__(self) -> int:
        return len(self.records)

    @property
    def columns(self) -> list[Values]:
        """What a statement is told."""
        return [*self.keys, *self.values, *self.guards]

    def having(self, pick: Pick) -> Batch:
        """Return a batch of some of the changes."""
        return Batch(
            kind=self.kind,
            places=pick(self.places),
            records=pick(self.records),
            before={name: pick(values) for name, values in self.before.items()},
            keys=list(map(pick, self.keys)),
            values=list(map(pick, self.values)),
            guards=list(map(pick, self.guards)),
            writes=self.writes,
        )


def between(start: int, stop: int) -> Pick:
    """Return what picks the values from one place to another."""
    return itemgetter(slice(start, stop))


def where(flags: Sequence[bool]) -> Pick:
    """Return what picks the values where a flag is set."""
    return lambda values: list(compress(values, flags))


def alike(values: Values, key: Callable[[Any], Any]) -> Iterator[tuple[Any, Pick]]:
    """Yield each key that some values have, and what picks those that have it."""
    found = dict.fromkeys(map(key, values))
    if len(found) == 1:  # Nearly always.
        yield found.popitem()[0], lambda values: values
        return
    for each in found:
        yield each, where([key(value) == each for value in values])
