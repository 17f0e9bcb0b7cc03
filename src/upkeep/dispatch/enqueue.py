"""Start a run: in a worker that a message will call, or here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

from upkeep.databases import home
from upkeep.dispatch import messages
from upkeep.exceptions import UpkeepError
from upkeep.execution.executor import execute
from upkeep.runs import intake

if TYPE_CHECKING:
    from upkeep.execution.interruption import Interruption
    from upkeep.runs.models import Run
    from upkeep.tasks.base import Task
    from upkeep.tasks.order import Order


def enqueue(order: Order) -> Run:
    """
    Write the row of a run and see that a worker hears of it.

    Raises QueueRefused, InvalidParameters or AlreadyActive; no row exists then.
    """
    messages.message(
        backend=order.backend,
        queue=order.queue,
        priority=order.priority,
        run_after=order.run_after,
    )
    run = intake.write(order, tell=messages.send)
    run.refresh_from_db()
    return run


def run_now(order: Order, *, interruption: Interruption | None = None) -> Run:
    """
    Write the row of a run and advance it here, to its end or until interrupted.

    Raises InvalidParameters or AlreadyActive, and UpkeepError inside a transaction.
    """
    return advance_here(write_for_here(order), interruption=interruption)


def write_for_here(order: Order) -> Run:
    """Write the row of a run that this process is about to advance itself."""
    refuse_transaction(order.task)
    # Should this process die, the sweep finds the row and sends a message after all.
    run = intake.write(order, tell=messages.expect)
    run.refresh_from_db()
    return run


def advance_here(run: Run, *, interruption: Interruption | None = None) -> Run:
    """Advance a run in this process, to its end or until interrupted."""
    execute(run.pk, run.lease_token, interruption=interruption, to_the_end=True)
    run.refresh_from_db()
    return run


def refuse_transaction(task: type[Task]) -> None:
    """Raise UpkeepError inside a transaction, that of a TestCase apart."""
    for alias in {home(), task.database or home()}:
        outer = connections[alias].atomic_blocks
        if outer and not outer[-1]._from_testcase:  # type: ignore[attr-defined]  # noqa: SLF001
            raise UpkeepError(
                f"{task.label()} cannot run inside transaction.atomic(): its "
                "chunks are transactions of their own. Call run_now() outside of it, "
                "or enqueue()."
            )
