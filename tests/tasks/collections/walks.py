"""Walking a collection as a worker does that is stopped and started at any time."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from upkeep.tasks.collections import Collection, Cursor

# One step: the size of the page, how many of its items are worked on before the
# place is written down, and whether another worker takes over then.
Step = tuple[int, int, bool]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.booleans()), max_size=12
)


def walk(collection: Collection[Any], size: int = 1000) -> Iterator[Any]:
    """Yield all items, page by page."""
    cursor = None
    while True:
        page = collection.page(cursor, size)
        yield from page.items
        if page.last:
            return
        cursor = page.cursor_after(len(page.items) - 1)


def interrupted_walk(
    make: Callable[[], Collection[Any]], steps: list[Step]
) -> list[Any]:
    """Return the items of a walk that goes by these steps and then to its end."""
    collection, cursor = make(), None
    done: list[Any] = []
    remaining = iter(steps)
    while True:
        size, stop, takeover = next(remaining, (5, 5, False))
        page = collection.page(cursor, size)
        assert len(page.items) <= size
        worked_on = page.items[:stop]
        done += worked_on
        if page.last and len(worked_on) == len(page.items):
            collection.close()
            return done
        if worked_on:
            cursor = stored(page.cursor_after(len(worked_on) - 1))
        if takeover:
            collection.close()
            collection = make()


def stored(cursor: Cursor) -> Cursor:
    """Return a cursor as it comes back from the row of a run."""
    return dict(json.loads(json.dumps(cursor)))
