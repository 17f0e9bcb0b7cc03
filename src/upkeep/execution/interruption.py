"""Why a worker wants its run to stop: it was told to, or the run's time is up."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from time import monotonic
from types import FrameType


class Interruption:
    """
    A reason to stop after the item in hand; empty while there is none.

    `ask_to_stop` may be called from a signal handler or another thread.
    """

    def __init__(self) -> None:
        self.asked = ""
        self._deadline: float | None = None

    def limit_to(self, time_budget: timedelta | None) -> None:
        """Stop when so much time has passed; None for no limit."""
        if time_budget is not None:
            self._deadline = monotonic() + time_budget.total_seconds()

    def ask_to_stop(self, reason: str) -> None:
        """Have the run stop after the item in hand."""
        self.asked = self.asked or reason

    def most(self) -> int:
        """Return how many items the next chunk may have."""
        return sys.maxsize

    def reason(self) -> str:
        """Return why to stop, or an empty string."""
        if (
            not self.asked
            and self._deadline is not None
            and monotonic() > self._deadline
        ):
            self.asked = "Its time was up; it goes on with the next message."
        return self.asked

    @contextmanager
    def by_signals(self, *numbers: signal.Signals) -> Iterator[None]:
        """
        Stop on these signals, which are passed on to whoever listened before.

        Only the main thread hears signals; elsewhere this does nothing.
        """
        with ExitStack() as stack:
            if threading.current_thread() is threading.main_thread():
                for number in numbers:
                    stack.enter_context(self._on(number))
            yield

    @contextmanager
    def _on(self, number: signal.Signals) -> Iterator[None]:
        previous = signal.getsignal(number)

        def stop(signum: int, frame: FrameType | None) -> None:
            self.ask_to_stop(f"Its worker was told to stop ({number.name}).")
            if callable(previous):
                previous(signum, frame)

        signal.signal(number, stop)
        try:
            yield
        finally:
            signal.signal(number, previous)
