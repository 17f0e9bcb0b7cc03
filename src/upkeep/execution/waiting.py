"""How a worker waits with a run in hand: it keeps listening."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import monotonic, sleep

# Who waits so long gives the worker back; a shorter wait is not worth a message, a
# claim and a fresh collection.
WORTH_A_MESSAGE = timedelta(seconds=5)

# One who waits listens so often whether somebody wants something else.
LISTEN_EVERY = 0.5  # seconds


def wait(length: timedelta, *, stop: Callable[[], bool]) -> bool:
    """Wait here, and listen; tell whether `stop` has let the run go meanwhile."""
    until = monotonic() + length.total_seconds()
    while (left := until - monotonic()) > 0:
        sleep(min(left, LISTEN_EVERY))
        if left > LISTEN_EVERY and stop():
            return True
    return False
