"""Keep a lease alive while one item takes long."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from django.db import Error, connections

from upkeep.conf import conf
from upkeep.databases import Now, home
from upkeep.runs.leases import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upkeep.execution.claim import Claim

logger = logging.getLogger("upkeep")


class Pacemaker:
    """
    A thread that extends the lease when a chunk is older than a third of it.

    It has a connection of its own, opened at its first beat, and is never waited for
    before a commit: on SQLite it would wait for the lock that the chunk holds.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._begun: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat_until_stopped, name="upkeep-pacemaker", daemon=True
        )

    def __enter__(self) -> Pacemaker:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Beat for what is inside, should it take long."""
        self._begun = monotonic()
        try:
            yield
        finally:
            self._begun = None

    def _beat_until_stopped(self) -> None:
        interval = conf.LEASE.total_seconds() / 3
        try:
            while not self._stop.wait(interval):
                begun = self._begun
                if begun is not None and monotonic() - begun >= interval:
                    self._beat()
        finally:
            connections.close_all()

    def _beat(self) -> None:
        """Write the lease; "no row" means nothing here, for the checkpoint decides."""
        try:
            Lease.objects.using(home()).filter(
                run=self.claim.run.pk, token=self.claim.token
            ).update(until=Now() + conf.LEASE)
        except Error as error:
            logger.warning(
                "The lease of %s was not extended: %s", self.claim.run, error
            )
            connections[home()].close()
