"""Signs of life: that something goes on which takes long, told again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connections

from upkeep.conf import conf
from upkeep.databases import home

logger = logging.getLogger("upkeep")


@contextmanager
def beating(beat: Callable[[], object], *, what: str) -> Iterator[None]:
    """
    Call `beat` each third of a lease while the block lasts, by another connection.

    What it writes tells the sweep that whoever does this is not dead.
    """
    is_over = threading.Event()
    thread = threading.Thread(
        target=_beat_until, args=[is_over, beat, what], name="upkeep-beats", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(timeout=5)


def _beat_until(
    is_over: threading.Event, beat: Callable[[], object], what: str
) -> None:
    try:
        while not is_over.wait(conf.LEASE.total_seconds() / 3):
            _try(beat, what)
    finally:
        connections.close_all()


def _try(beat: Callable[[], object], what: str) -> None:
    try:
        beat()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("%s: %s", what, error)
        connections[home()].close()
