"""How many items the next chunk and the next page may hold."""

from __future__ import annotations

from math import ceil

FIRST_PAGE = 100

# What must be left of a chunk's time for another page, as a share of what is spent.
LEAST_REST = 0.05


class Pace:
    """
    Pages that fit the speed of the task, and small chunks after an error.

    After an error behind k items these are done again as one chunk, and what comes next
    is a chunk of its own. Where it is not known which item failed, as when a COMMIT is
    refused, chunks are halved until it is alone. Then they grow again.
    """

    def __init__(self, largest_page: int) -> None:
        self.largest_page = largest_page
        self._page = min(FIRST_PAGE, largest_page)
        self._ceiling: int | None = None
        self._then: int | None = None

    @property
    def is_careful(self) -> bool:
        """Tell whether chunks are small because of an error."""
        return self._ceiling is not None

    def page(self, done: int, *, spent: float, left: float) -> int:
        """
        Return the size of the next page of a chunk; 0 where the chunk is full.

        So many items are done, in `spent` seconds, and `left` seconds are left. The
        page holds what fits in these: what is fetched beyond is fetched in vain.
        """
        size = self._page
        if done and spent:
            if left < spent * LEAST_REST:
                return 0
            self._page = min(size * 2, self.largest_page)
            size = min(self._page, ceil(done * left / spent))
        return size if self._ceiling is None else min(size, self._ceiling - done)

    def completed(self, *, items: int, in_whole_pages: bool) -> None:
        """Go on after a chunk that was committed."""
        if self._ceiling is not None:
            self._ceiling = self._then or self._ceiling * 2
            self._then = None
            if self._ceiling > self.largest_page:
                self._ceiling = None
        elif not in_whole_pages:
            # What was fetched beyond the end of the chunk will be fetched again.
            self._page = min(max(items, 1), self.largest_page)

    def failed_behind(self, items: int) -> None:
        """Have so many items done again, and then what comes next by itself."""
        self._ceiling, self._then = items, 1

    def failed_somewhere(self, *, items: int) -> None:
        """Look for the bad one of so many items in half of them."""
        self._ceiling, self._then = max(items // 2, 1), None
