"""A worker's hold on a run: taken, proved by its token in every write, given up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from upkeep.conf import conf
from upkeep.databases import Now, engine_transaction, evict, home
from upkeep.exceptions import LeaseLost
from upkeep.runs.events import Event
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run, announce_on_commit, new_token
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.status import WAITING, WHEN_LET_GO, Status


class Claim:
    """
    The right of this worker to advance a run, as long as the run bears its token.

    All that a worker writes goes through here, and nothing is written without the
    token: a worker that froze and was given up finds its writes refused.
    """

    def __init__(self, run: Run, *untold: Event) -> None:
        self.run = run
        self.token = run.lease_token
        self.untold = list(untold)  # The moves of which nobody has been told yet.

    @classmethod
    def take(cls, run_id: int, token: str) -> Self | None:
        """
        Claim a run for this process, or return None where the message is stale.

        Of several who were sent the same message the first changes the token, and
        the others have come for a run that no longer bears theirs.
        """
        with engine_transaction(home(), marker=token):
            claimed = (
                Run.objects.using(home())
                .claimable()
                .filter(pk=run_id, lease_token=token)
                .update(
                    status=Status.RUNNING,
                    reason="",
                    lease_token=(mine := new_token()),
                    lease_until=Now() + conf.LEASE,
                    worker=this_worker(),
                    attempts=F("attempts") + 1,
                    started_at=Coalesce("started_at", Now()),
                    run_after=None,
                    resend_at=None,
                )
            )
            if not claimed:
                return None
            Lease.objects.using(home()).filter(run=run_id).update(
                token=mine, until=None
            )
            run = Run.objects.using(home()).get(pk=run_id)
            is_first = run.attempts == 1
            with moves_from(Source.WORKER):
                start = run.note_move(actor=this_worker(), is_new=is_first)
        return cls(run, *[start] * is_first)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction on Upkeep's tables that `evict` can find by our token."""
        with engine_transaction(home(), marker=self.token):
            yield

    def write(self, *log_lines: str, **changes: Any) -> None:
        """Write to the run's row and extend the lease. Raises LeaseLost."""
        held = Run.objects.using(home()).filter(pk=self.run.pk, lease_token=self.token)
        if log_lines:
            changes["logged"] = F("logged") + len(log_lines)
        if not held.update(lease_until=Now() + conf.LEASE, **changes):
            raise LeaseLost(f"{self.run} was taken over by another worker.")
        if log_lines:
            self.run.tell(Event.Kind.LOG, *log_lines)

    def renew(self) -> None:
        """
        Take a new token, and with it the row as it really is. Raises LeaseLost.

        After any error nothing that is known of the row counts: a COMMIT whose answer
        was lost may have happened, or be about to. Writing the token waits for it, or
        ends the session that it hangs in.
        """
        evict(home(), self.token)
        token = new_token()
        with self.transaction():
            self.write(lease_token=token)
            Lease.objects.using(home()).filter(run=self.run, token=self.token).update(
                token=token
            )
            self.run.refresh_from_db(using=home())
        self.token = token

    def wish(self) -> Status:
        """Return the status as it is now: a person may want the run to stop."""
        status = (
            Run.objects.using(home())
            .filter(pk=self.run.pk, lease_token=self.token)
            .values_list("status", flat=True)
            .first()
        )
        if status is None:
            raise LeaseLost(f"{self.run} was taken over by another worker.")
        return Status(status)

    def end(self, target: Status, *, reason: str = "", **changes: Any) -> None:
        """Make the worker's last move. Raises LeaseLost."""
        with self.transaction():
            self.move(target, reason=reason, **changes)

    def move(self, target: Status, *, reason: str = "", **changes: Any) -> None:
        """Make the last move in the transaction that is open. Raises LeaseLost."""
        with moves_from(Source.WORKER):
            moved = self.run.move_to(
                target,
                fence=self._fence(),
                reason=reason,
                announce=self.untold.append,
                **changes,
            )
        if not moved:
            raise LeaseLost(f"{self.run} was taken over by another worker.")

    def let_go(self, *, reason: str = "", **changes: Any) -> bool:
        """
        Leave the run where a person wants it to be, or for another worker.

        The changes are written with a reason of the worker's own, and not where a
        person wants something else. False where nobody wants it to stop any more.
        Raises LeaseLost.
        """
        while True:
            status = self.wish()
            if status is Status.RUNNING and not reason:
                return False
            self.run.refresh_from_db(using=home())
            with self.transaction(), moves_from(Source.WORKER):
                if let_go(
                    self.run,
                    status,
                    fence=self._fence(),
                    reason=reason,
                    announce=self.untold.append,
                    **changes,
                ):
                    return True

    def _fence(self) -> Q:
        return Q(lease_token=self.token)


def let_go(
    run: Run,
    status: Status,
    *,
    fence: Q,
    reason: str,
    announce: Callable[[Event], object] = announce_on_commit,
    **changes: Any,
) -> bool:
    """Move a run that loses its worker to where it goes from its status."""
    target = WHEN_LET_GO[status]
    if target not in WAITING:
        changes = {}
    return run.move_to(
        target,
        sources=[status],
        fence=fence,
        # Where a person wanted it to stop, the person's reason is the one that counts.
        reason=reason if target in WAITING else run.reason,
        actor=this_worker(),
        announce=announce,
        **changes,
    )


def this_worker() -> str:
    """Return the name of this process: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"
