"""Keep a lease alive while one item takes long, and tell of one that does not end."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import Error, connections

from upkeep.conf import conf
from upkeep.databases import Now, home
from upkeep.execution.stuck import Lookout
from upkeep.runs.leases import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upkeep.execution.executor import Executor
    from upkeep.execution.stuck import Stuck

logger = logging.getLogger("upkeep")


@dataclass(frozen=True, slots=True)
class Watch:
    """Something that may take long."""

    begun: float
    writes: bool
    looks: bool


class Pacemaker:
    """
    A thread that extends the lease when a chunk is older than a third of it.

    It has a connection of its own, opened at its first beat, and is never waited for
    before a commit: on SQLite it would wait for the lock that the chunk holds.
    With each beat it notes what is in hand for too long, and where the worker stands.
    """

    def __init__(self, executor: Executor) -> None:
        self.claim = executor.claim
        self._lookout = Lookout(executor)
        self._watch: Watch | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat_until_stopped, name="upkeep-pacemaker", daemon=True
        )
        self._teller = threading.Thread()

    def __enter__(self) -> Pacemaker:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        if self._teller.is_alive():
            self._teller.join(timeout=5)

    @contextmanager
    def watching(self, *, writes: bool = True, looks: bool = True) -> Iterator[None]:
        """
        Beat for what is inside, should it take long.

        `writes` is for where the database would not let us; `looks` is not for what
        waits, and is meant to.
        """
        self._watch = Watch(monotonic(), writes, looks)
        try:
            yield
        finally:
            self._watch = None

    def _beat_until_stopped(self) -> None:
        interval = conf.LEASE.total_seconds() / 3
        try:
            while not self._stop.wait(interval):
                watch = self._watch
                if watch is not None and monotonic() - watch.begun >= interval:
                    self._look_and_beat(watch)
        finally:
            connections.close_all()

    def _look_and_beat(self, watch: Watch) -> None:
        stuck = self._look(watch) if watch.looks else None
        if watch.writes:
            self._beat(stuck)
        if stuck is not None:
            self._tell(stuck)

    def _look(self, watch: Watch) -> Stuck | None:
        try:
            found = self._lookout.look(watch.begun)
        except Exception:  # Whatever an item may do that is asked for its name.
            logger.exception("It is not known where %s stands", self.claim.run)
            return None
        # What was watched may be over by now, and the item that of the next chunk.
        return found if self._watch is watch else None

    def _tell(self, stuck: Stuck) -> None:
        """Tell of it beside the beats: who is told may take longer than a lease."""
        if self._teller.is_alive() or not self._lookout.is_news(stuck):
            return
        self._teller = threading.Thread(
            target=self._report, args=[stuck], name="upkeep-stuck", daemon=True
        )
        self._teller.start()

    def _report(self, stuck: Stuck) -> None:
        try:
            self._lookout.report(stuck)
        finally:
            connections.close_all()

    def _beat(self, stuck: Stuck | None) -> None:
        """Write the lease; "no row" means nothing here, for the checkpoint decides."""
        try:
            Lease.objects.using(home()).filter(
                run=self.claim.run.pk, token=self.claim.token
            ).update(until=Now() + conf.LEASE, **_noted(stuck))
        except Error as error:
            logger.warning(
                "The lease of %s was not extended: %s", self.claim.run, error
            )
            connections[home()].close()


def _noted(stuck: Stuck | None) -> dict[str, Any]:
    """Return what a lease says of the step in hand: nothing, where it is none."""
    if stuck is None:
        return {"item": "", "item_since": None, "place": "", "stack": ""}
    return {
        "item": stuck.item,
        "item_since": Now() - stuck.lasts,
        "place": stuck.place,
        "stack": stuck.stack,
    }
