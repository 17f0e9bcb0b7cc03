"""What travels through the queue: the id of a run and its token, nothing else."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Coalesce, Greatest

from upkeep.compat import (
    DjangoTask,
    InvalidTaskBackend,
    refusals,
    task_backends,
)
from upkeep.conf import conf
from upkeep.databases import Now, home
from upkeep.dispatch.brokers import broker
from upkeep.exceptions import QueueRefused
from upkeep.execution.executor import execute
from upkeep.execution.interruption import Interruption
from upkeep.runs import queues
from upkeep.runs.models import Run

if TYPE_CHECKING:
    from datetime import datetime

logger = logging.getLogger("upkeep")

# Public: it lies in users' queues, and must not move.
PATH = "upkeep.dispatch.messages.advance"

# A message is sent again after lease, 2, 4, … leases, lest a long queue fill with them.
MOST_DOUBLINGS = 6


def advance(run_id: int, token: str) -> None:
    """Advance a run until it ends or something stops it: all that a message asks."""
    run = Run.objects.using(home()).filter(pk=run_id).only("backend", "queue").first()
    if run is None:
        return
    queues.note_taken(run.backend, run.queue)
    interruption = Interruption()
    with broker(run.backend).listening(interruption):
        execute(run_id, token, interruption=interruption)


# The `django.tasks` task that workers import is made when it is asked for: it refuses
# to be made for a backend or queue that TASKS lacks, and an import must not fail so.
_advance = advance
del advance


def __getattr__(name: str) -> Any:
    if name == "advance":
        alias = next(iter(task_backends.settings))
        queues = sorted(task_backends[alias].queues) or ["default"]
        return _django_task(backend=alias, queue_name=queues[0])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _django_task(
    *, backend: str, queue_name: str, **options: Any
) -> DjangoTask[Any, Any]:
    make = task_backends[backend].task_class
    options = {"priority": 0, "takes_context": False, "run_after": None} | options
    return make(func=_advance, backend=backend, queue_name=queue_name, **options)


def message(
    *, backend: str, queue: str, priority: int, run_after: datetime | None
) -> DjangoTask[Any, Any]:
    """
    Return the message, ready to be sent.

    Raises QueueRefused where the backend does not serve what is asked of it.
    """
    try:
        return _django_task(
            backend=backend, queue_name=queue, priority=priority, run_after=run_after
        )
    except InvalidTaskBackend as error:
        raise QueueRefused(
            f"TASKS has no backend {backend!r}. Add it there, or let the task name "
            f"another: {', '.join(task_backends.settings)}."
        ) from error
    except refusals() as error:
        raise QueueRefused(_refusal(backend, queue, str(error))) from error


def _refusal(backend: str, queue: str, reason: str) -> str:
    served = sorted(task_backends[backend].queues)
    if served and queue not in served:
        return (
            f"TASKS[{backend!r}] has no queue {queue!r}. Add it to its QUEUES, which "
            f"are {', '.join(served)}, or name one of these."
        )
    return f"TASKS[{backend!r}] refuses this run: {reason}"


def send(run: Run) -> bool:
    """
    Send the message of a run, bearing its token; False if another process does.

    A message that is a row beside our own is written in the transaction that is open,
    so that neither is without the other. Any other is sent after the commit; if that
    fails, the sweep sends it again.
    """
    if not expect(run):
        return False
    if broker(run.backend).writes_to() == home():
        _send(run)
    else:
        transaction.on_commit(lambda: _send(run), using=home(), robust=True)
    return True


def check(run: Run) -> None:
    """Raise QueueRefused where no message of the run could be sent."""
    message(backend=run.backend, queue=run.queue, priority=run.priority, run_after=None)


def defers(run: Run) -> bool:
    """Tell whether the backend of a run can keep a message until its moment comes."""
    try:
        return task_backends[run.backend].supports_defer
    except InvalidTaskBackend:
        return False


def expect(run: Run) -> bool:
    """Note when the sweep is to send a message, should no worker claim the run."""
    # A message that could not be sent, for its queue was down, does not count.
    doublings = min(run.messages_sent, MOST_DOUBLINGS) if run.message_id else 0
    due = Greatest(Coalesce("run_after", Now()), Now())
    noted = (
        Run.objects.using(home())
        .filter(pk=run.pk, lease_token=run.lease_token, messages_sent=run.messages_sent)
        .update(
            messages_sent=run.messages_sent + 1,
            message_id="",
            resend_at=due + conf.LEASE * 2**doublings,
        )
    )
    return bool(noted)


def _send(run: Run) -> None:
    ready = message(
        backend=run.backend,
        queue=run.queue,
        priority=run.priority,
        run_after=_in_the_future(run),
    )
    result = ready.enqueue(run.pk, run.lease_token)
    Run.objects.using(home()).filter(pk=run.pk, lease_token=run.lease_token).update(
        message_id=result.id
    )


def _in_the_future(run: Run) -> datetime | None:
    """
    Return when a message may come, in the whole seconds that RQ counts in.

    None where that is now: a backend that cannot defer can still send what is due. A
    message must not come before its moment, for it would be stale, and so the last.
    The clock is that of the database, by which the claim goes: ours may be wrong.
    """
    moment = run.run_after
    if moment is None or moment <= _time_of_database(run):
        return None
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def _time_of_database(run: Run) -> datetime:
    row = Run.objects.using(home()).filter(pk=run.pk)
    now: datetime = row.values_list(Now(), flat=True).get()
    return now
