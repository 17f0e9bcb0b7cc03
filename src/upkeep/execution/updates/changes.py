"""What is to be written: rows with their new values, and what they must still be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.db.models import Model

if TYPE_CHECKING:
    from upkeep.execution.updates.columns import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A record that `process` changed, as the database is told of it."""

    record: Model
    before: dict[str, Any]
    changed: tuple[Column, ...]
    guarded: tuple[Column, ...]

    key: tuple[Any, ...]
    values: tuple[Any, ...]
    """What the changed columns are to be."""

    guards: tuple[Any, ...]
    """What the loaded columns were: their values where these tell all, or bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Changes of the same columns, which one statement can write."""

    changed: tuple[Column, ...]
    guarded: tuple[Column, ...]
    changes: Sequence[Change]

    def __len__(self) -> int:
        return len(self.changes)

    def having(self, changes: Sequence[Change]) -> Batch:
        """Return a batch of other changes of the same columns."""
        return replace(self, changes=changes)


def batches_of(changes: Sequence[Change]) -> Iterator[Batch]:
    """Put changes together that change the same columns; mostly all of them do."""
    numbers = {columns: n for n, columns in enumerate(map(_columns, changes))}
    ordered = sorted(changes, key=lambda change: numbers[_columns(change)])
    for (changed, guarded), together in groupby(ordered, _columns):
        yield Batch(changed=changed, guarded=guarded, changes=list(together))


_columns = attrgetter("changed", "guarded")
