"""The items of a list, a tuple, a range or any other sequence."""

from __future__ import annotations

from collections.abc import Sequence

from upkeep.exceptions import CursorMismatch
from upkeep.tasks.collections.base import Collection, Cursor, Item, Page


class SequenceCollection(Collection[Item]):
    """The items of a sequence; the cursor is the position of the next one."""

    kind = "sequence"

    def __init__(self, sequence: Sequence[Item]) -> None:
        self._sequence = sequence

    def page(self, cursor: Cursor | None, size: int) -> Page[Item]:
        """Return the next items of the sequence as it is now."""
        start = 0 if cursor is None else self._position(cursor)
        stop = min(start + size, len(self._sequence))
        # One by one: a deque and other honest sequences cannot be sliced.
        items = [self._sequence[position] for position in range(start, stop)]
        last = stop == len(self._sequence)
        return Page(items, last, lambda index: self._cursor(start + index + 1))

    def count(self) -> int:
        """Return the length of the sequence."""
        return len(self._sequence)

    def _position(self, cursor: Cursor) -> int:
        self.check_kind(cursor)
        position = int(cursor["position"])
        if position > len(self._sequence):
            raise CursorMismatch(
                f"The run had done {position:,} items of a sequence that now has "
                f"{len(self._sequence):,}. Bring the former one back, or cancel the "
                "run and start a new one."
            )
        return position

    def _cursor(self, position: int) -> Cursor:
        return {"kind": self.kind, "position": position}
