"""What is to be written: rows with their new values, and what they must still be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Model

if TYPE_CHECKING:
    from upkeep.execution.updates.columns import Column

Values = dict[str, Any]


@dataclass(slots=True, eq=False)
class Kind:
    """The columns of changes that one statement can write together."""

    changed: tuple[Column, ...]
    guarded: tuple[Column, ...]


@dataclass(slots=True, eq=False)
class Change:
    """A record that `process` changed, as the database is told of it."""

    record: Model
    before: Values
    kind: Kind
    row: tuple[Any, ...]
    """Its key, what the changed columns are to be, and what the loaded ones were."""


@dataclass(slots=True, eq=False)
class Batch:
    """Changes of the same columns."""

    kind: Kind
    changes: Sequence[Change]

    def __len__(self) -> int:
        return len(self.changes)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """What a statement is told."""
        return [change.row for change in self.changes]

    def having(self, changes: Sequence[Change]) -> Batch:
        """Return a batch of other changes of the same columns."""
        return Batch(self.kind, changes)


def batches_of(changes: Sequence[Change]) -> Iterator[Batch]:
    """Put changes together that change the same columns; mostly all of them do."""
    together: dict[Kind, list[Change]] = {}
    for change in changes:
        together.setdefault(change.kind, []).append(change)
    for kind, some in together.items():
        yield Batch(kind, some)
