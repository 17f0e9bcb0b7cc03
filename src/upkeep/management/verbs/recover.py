"""`manage.py upkeep recover`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from upkeep.dispatch.recovery import sweep, watch
from upkeep.management.exits import Failed
from upkeep.management.verbs.base import Verb

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Recover(Verb):
    """
    See that runs go on whose worker died or whose message was lost.

    `upkeep worker` does this by itself; with --loop it is for those who start their
    workers in another way.
    """

    name = "recover"
    example = "manage.py upkeep recover --loop"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take --loop."""
        parser.add_argument(
            "--loop",
            action="store_true",
            help="look again and again, until SIGTERM or Ctrl-C",
        )

    def handle(self, *, loop: bool, **options: Any) -> None:
        """Look once and tell what was found; then, if asked to, stay."""
        self.screen.say(f"{sweep()}.")
        if loop:
            self._stay()

    def _stay(self) -> None:
        stop = threading.Event()
        watcher = threading.Thread(
            target=watch, args=[stop], name="upkeep-watcher", daemon=True
        )
        with _setting(stop, signal.SIGTERM, signal.SIGINT):
            self.screen.say("Watching. Stop with Ctrl-C.")
            watcher.start()
            watcher.join()
        if not stop.is_set():
            raise Failed("The watcher died, of the error above. Start it again.")


@contextmanager
def _setting(event: threading.Event, *numbers: signal.Signals) -> Iterator[None]:
    """Set an event on signals; this thread must not wait for it meanwhile."""

    def stop(*signal_and_frame: object) -> None:
        event.set()

    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
