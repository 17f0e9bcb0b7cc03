"""Whoever looks at a page has the runs looked after: behind the answer, and seldom."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING

from upkeep.databases import home, is_writer_busy
from upkeep.dispatch.recovery import interval, rescue

if TYPE_CHECKING:
    from django.http import HttpResponse

logger = logging.getLogger("upkeep")


class Turns:
    """The right to sweep, given once in an interval to one thread of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_at = 0.0

    def take(self) -> bool:
        """Take the turn, if it is time for one and nobody else has."""
        with self._lock:
            now = monotonic()
            if now < self._next_at:
                return False
            self._next_at = now + interval().total_seconds()
            return True


turns = Turns()


def sweep_behind(response: HttpResponse) -> None:
    """
    Have runs that nobody advances handed on, once the answer is sent.

    Whoever takes a run over may have to wait for a session to end, and for its locks;
    no visitor is to wait for that, nor a transaction around the view.
    """
    if turns.take():
        # Django has no public name for what it does when an answer was sent.
        response._resource_closers.append(_sweep)  # type: ignore[attr-defined]  # noqa: SLF001


def _sweep() -> None:
    try:
        # Behind an answer, too, a thread that waits is one that answers nobody.
        if not is_writer_busy(home()):
            rescue()
    except Exception as error:  # noqa: BLE001 - who looked at a page has their answer
        logger.warning("The sweep behind a page could not look for runs: %r", error)
