"""What every collection offers: pages of items, and a cursor after each item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from upkeep.exceptions import CursorMismatch

Item = TypeVar("Item")

Cursor = dict[str, Any]  # Where to go on: JSON with the "kind" of its collection.


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Items that were fetched together."""

    items: Sequence[Item]
    last: bool  # Nothing comes after this page.
    cursor_after: Callable[[int], Cursor]  # Where to go on after items[index].
    names: Sequence[str] = ()  # What the items are called; () where that is plain.
    key_of: Callable[[int], Any] | None = None  # The primary key of the record fetched.


class Collection(ABC, Generic[Item]):
    """
    Something that can be walked a page at a time, from any cursor of its own.

    Pages carry plain lists, and a cursor is computed only when it is asked for:
    an item costs the walk nothing but its place in the list.
    """

    kind: ClassVar[str]

    unit: str = "item"
    """What is counted: "item", or "batch"."""

    @abstractmethod
    def page(self, cursor: Cursor | None, size: int) -> Page[Item]:
        """Return at most `size` items after the cursor; None is the beginning."""

    @abstractmethod
    def count(self) -> int | None:
        """Return how many items there are in all, or None where nobody knows."""

    def halves(self, item: Item) -> Sequence[Item]:
        """Return the two halves of an item of many records, none of any other."""
        return ()

    def close(self) -> None:
        """Let go of what is held open; a later page opens it again."""

    def check_kind(self, cursor: Cursor) -> None:
        """Raise CursorMismatch for a cursor that another kind of walk has left."""
        if (found := cursor.get("kind")) != self.kind:
            raise CursorMismatch(
                f"The run stopped in a walk of kind {found!r}, but its task now "
                f"returns a collection of kind {self.kind!r}. Bring the former "
                "collection back, or cancel the run and start a new one."
            )


def described(value: object) -> str:
    """Say what a value is, for an error."""
    return "None" if value is None else f"a value of type {type(value).__name__}"
