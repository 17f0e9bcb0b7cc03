"""How many items a second a run may work on."""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from time import monotonic

from upkeep.tasks.throttles import Hold


class Rate:
    """
    A limit to the items of a second, which holds as a throttle does; None: no limit.

    A chunk takes up to as many as are due while it lasts, or one, and the next one
    begins when that is made up for.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._due = -math.inf

    def most(self, seconds: float) -> int:
        """Return how many items a chunk of so many seconds may have."""
        if self._per_second is None:
            return sys.maxsize
        return math.ceil(min(self._per_second * seconds, sys.maxsize))

    def worked_on(self, items: int, *, since: float) -> None:
        """Note how many items were executed since a moment of the clock."""
        if self._per_second is not None:
            self._due = max(self._due, since) + items / self._per_second

    def hold(self) -> Hold | None:
        """Return how long the next item has to wait; None where it has not."""
        left = self._due - monotonic()
        if self._per_second is None or left <= 0:
            return None
        return Hold(
            by="rate",
            wait=timedelta(seconds=left),
            reason=f"At most {self._per_second:g} items a second.",
        )
