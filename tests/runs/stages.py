"""Runs in every status, brought there by the moves that workers and people make."""

from collections.abc import Callable
from typing import Any

from tests.testapp.maintenance import Numbers
from upkeep.execution.claim import Claim
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.base import Task


def claim(run: Run) -> Claim:
    """Take the run up, as a worker does."""
    run.refresh_from_db()
    taken = Claim.take(run.pk, run.lease_token)
    assert taken is not None
    return taken


def _claim_and_pause(run: Run) -> None:
    claim(run)
    run.pause()


def _claim_and_cancel(run: Run) -> None:
    claim(run)
    run.cancel()


WAYS: dict[Status, Callable[[Run], Any]] = {
    Status.ENQUEUED: lambda run: None,
    Status.RUNNING: claim,
    Status.INTERRUPTED: lambda run: claim(run).let_go(reason="Its time was up."),
    Status.PAUSING: _claim_and_pause,
    Status.PAUSED: Run.pause,
    Status.CANCELLING: _claim_and_cancel,
    Status.CANCELLED: Run.cancel,
    Status.ERRORED: lambda run: claim(run).end(
        Status.ERRORED, error_class="builtins.ValueError", error_message="No."
    ),
    Status.DISCARDED: lambda run: claim(run).end(Status.DISCARDED),
    Status.SUCCEEDED: lambda run: claim(run).end(Status.SUCCEEDED),
}


def run_in(status: Status, task: type[Task] = Numbers, **given: Any) -> Run:
    """Return a run of the task in that status."""
    run = task.enqueue(**given)
    WAYS[status](run)
    run.refresh_from_db()
    assert run.status == status
    return run
