"""What a task's own `iterate(cursor)` yields: anything that can be taken up again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from upkeep.databases import is_passing
from upkeep.exceptions import InvalidCollection
from upkeep.tasks.collections.base import Collection, Cursor, Page, described
from upkeep.tasks.values import from_json, to_json

# An item may take its source a while, and a run that shall stop must not wait for more.
LONGEST_PAGE = 0.1  # seconds

Iterate = Callable[[Any], Iterable[tuple[Any, Any]]]


class Iteration(Collection[Any]):
    """
    The pairs of item and cursor that `iterate(cursor)` yields.

    It is called with None at the beginning, and with the cursor of the last item that
    was worked on wherever another worker takes over or a chunk is done again. One item
    is asked for ahead, to know which one is the last. An error of its own ends its
    page, so that the items before it are not lost with it; in a transaction of `alias`
    what the page did there is undone then, for an error may have spoiled it.
    """

    kind = "iterate"

    def __init__(self, iterate: Iterate, alias: str = DEFAULT_DB_ALIAS) -> None:
        self._iterate = iterate
        self._alias = alias
        self._pairs: Iterator[tuple[Any, Any]] | None = None
        self._ahead: list[tuple[Any, Cursor]] = []
        self._place: Cursor | None = None  # Behind the last item of the last page.

    def page(self, cursor: Cursor | None, size: int) -> Page[Any]:
        """Return the next items, fewer than asked for where they take long to come."""
        # Not by what it says: a cursor that comes again is not the same place.
        if self._pairs is None or cursor is not self._place:
            self._begin(cursor)
        found = self._ahead
        last = self._take(found, size + 1)
        self._ahead = found[size:]
        del found[size:]
        self._place = found[-1][1] if found else cursor
        items = [item for item, _ in found]
        return Page(items, last, lambda index: found[index][1])

    def count(self) -> int | None:
        """Say that nobody knows: a task may, and say so itself."""
        return None

    def close(self) -> None:
        """End the iteration, so that what it holds open is closed."""
        pairs, self._pairs, self._ahead = self._pairs, None, []
        if isinstance(pairs, Generator):
            pairs.close()

    def _begin(self, cursor: Cursor | None) -> None:
        self.close()
        self._place = None
        if cursor is not None:
            self.check_kind(cursor)
            cursor = from_json(cursor["value"])
        pairs = self._iterate(cursor)
        if not isinstance(pairs, Iterable):
            raise InvalidCollection(
                f"iterate() returned {described(pairs)}, which cannot be walked. Yield "
                "pairs of an item and the cursor behind it."
            )
        self._pairs = iter(pairs)

    def _take(self, found: list[tuple[Any, Cursor]], wanted: int) -> bool:
        """Take up to so many items, and tell whether they are the last."""
        pairs, self._pairs = self._pairs, None  # Of no use once it has raised.
        try:
            with self._savepoint():
                is_last = self._take_from(pairs, found, wanted)  # type: ignore[arg-type]
        except Exception as error:
            # From the next cursor on, what was wrong between two pairs would not show.
            is_ours = isinstance(error, InvalidCollection)
            if not found or is_ours or is_passing(error):
                raise
            return False
        self._pairs = pairs
        return is_last

    def _take_from(
        self, pairs: Iterator[Any], found: list[tuple[Any, Cursor]], wanted: int
    ) -> bool:
        deadline = monotonic() + LONGEST_PAGE
        before = found[-1][1] if found else self._place
        while len(found) < wanted and (monotonic() < deadline or not found):
            try:
                pair = next(pairs)
            except StopIteration:
                return True
            found.append(self._checked(pair, before))
            before = found[-1][1]
        return False

    def _savepoint(self) -> AbstractContextManager[Any]:
        if connections[self._alias].in_atomic_block:
            return transaction.atomic(using=self._alias)
        return nullcontext()

    def _checked(self, pair: Any, before: Cursor | None) -> tuple[Any, Cursor]:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise InvalidCollection(
                f"iterate() yielded {described(pair)}. Yield pairs of an item and the "
                "cursor behind it: yield item, cursor."
            )
        item, value = pair
        if value is None:
            raise InvalidCollection(
                "iterate() yielded the cursor None, which means the beginning. Yield "
                "what it can go on from behind this item."
            )
        try:
            cursor = {"kind": self.kind, "value": to_json(value)}
        except TypeError as error:
            raise InvalidCollection(
                f"iterate() yielded a cursor that cannot be saved: {error}"
            ) from error
        if cursor == before:
            raise InvalidCollection(
                f"iterate() yielded the cursor {value!r} for two items, and nobody "
                "could tell whether one of them is done or both. Give each a cursor of "
                "its own, such as the number of a page and the place in it."
            )
        return item, cursor
