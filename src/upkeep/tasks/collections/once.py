"""The one step of a Job."""

from __future__ import annotations

from upkeep.tasks.collections.base import Collection, Cursor, Page


class Once(Collection[None]):
    """A single step: one item, which is None."""

    kind = "once"

    def page(self, cursor: Cursor | None, size: int) -> Page[None]:
        """Return the step, or nothing when it has been done."""
        if cursor is not None:
            self.check_kind(cursor)
        return Page(
            [None] if cursor is None else [], last=True, cursor_after=self._done
        )

    def count(self) -> int:
        """Count the step."""
        return 1

    def _done(self, index: int) -> Cursor:
        return {"kind": self.kind, "done": True}
