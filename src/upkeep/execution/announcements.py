"""
Telling of moves: the hooks of the task, the signals, the mail, behind the commit.

Whoever makes a move notes on its event when others may tell of it, and tells of it
itself behind the commit. Should it die in between, the next worker of the run or the
sweep finds what is left. The moment is what is taken: of two who would tell of a move
the first changes it, and the other goes away.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError
from django.db.models import Q

from upkeep import databases, signals
from upkeep.conf import conf
from upkeep.databases import Now, home
from upkeep.execution import mails
from upkeep.execution.beats import beating
from upkeep.execution.listeners import Listeners
from upkeep.execution.reporting import presentable, report, secrets_of_run
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.status import HELD, Status
from upkeep.tasks import registry
from upkeep.tasks.base import Task

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.dispatch import Signal

logger = logging.getLogger("upkeep")

# What is told of a run that came into a status; that of a first time is special.
SIGNALS: dict[Status, Signal] = {
    Status.ENQUEUED: signals.run_resumed,
    Status.RUNNING: signals.run_resumed,
    Status.INTERRUPTED: signals.run_interrupted,
    Status.PAUSED: signals.run_paused,
    Status.CANCELLED: signals.run_cancelled,
    Status.SUCCEEDED: signals.run_succeeded,
    Status.DISCARDED: signals.run_discarded,
    Status.ERRORED: signals.run_errored,
}
FIRST_SIGNALS: dict[Status, Signal] = {
    Status.ENQUEUED: signals.run_enqueued,
    Status.RUNNING: signals.run_started,
}
HOOKS: dict[Signal, str] = {
    signals.run_started: "after_start",
    signals.run_paused: "after_pause",
    signals.run_interrupted: "after_interrupt",
    signals.run_cancelled: "after_cancel",
    signals.run_succeeded: "after_complete",
    signals.run_discarded: "after_discard",
    signals.run_errored: "after_error",
}

MOST_AT_ONCE = 100


def is_listened_to(run: Run) -> bool:
    """Tell whether anybody here wants to hear that the run came into its status."""
    status, task = Status(run.status), registry.find(run.task)
    if status is Status.ERRORED and (conf.MAIL_ON_ERROR or _notifies(task)):
        return True
    return any(
        signal.has_listeners(Run) or (task is not None and _has_hook(task, signal))
        for signals_of in (SIGNALS, FIRST_SIGNALS)
        if (signal := signals_of.get(status))
    )


def _has_hook(task: type[Task], signal: Signal) -> bool:
    """Tell whether a task has a hook of its own for what the signal tells."""
    name = HOOKS.get(signal)
    return name is not None and getattr(task, name) is not getattr(Task, name)


def _notifies(task: type[Task] | None) -> bool:
    """Tell whether a task has a way of its own to tell who asked of an error."""
    return task is not None and task.notify is not Task.notify


def announce(
    event: Event, *, task: Task | None = None, error: BaseException | None = None
) -> bool:
    """
    Tell of a committed move, if nobody else does; True if it was told. Raises nothing.

    `task` is the one in hand, if there is one; `error` is what stopped the run.
    """
    if event.announce_at is None:
        return False  # Nobody listened when it was made.
    try:
        if not _take(event):
            return False
        run = task.run if task else _run_of(event)
        if run is not None:
            with beating(partial(_beat, event), what=f"The telling of {event}"):
                _tell(event, run, task, error)
        _note_as_told(event)
    except (DatabaseError, InterfaceError) as failure:
        # The event is still there for the sweep.
        logger.warning("Nobody could be told of %s yet: %r", event, failure)
        databases.forget_lost_connection(home())
        return False
    return True


def announce_what_is_left_of(run: Run) -> None:
    """Tell of the moves of a run that earlier workers died over."""
    # This worker has the run now: whoever took it up before tells of that no more.
    _announce_all(_left().filter(_is_due() | Q(status=Status.RUNNING), run=run))


def announce_what_is_left() -> int:
    """Tell of the moves that somebody died over; return how many."""
    # A worker that holds a run tells of its start itself, be it later than that.
    starting = Q(status=Status.RUNNING, run__status__in=HELD)
    return _announce_all(_left().filter(_is_due()).exclude(starting))


def _left() -> QuerySet[Event]:
    return Event.objects.using(home()).filter(announce_at__isnull=False)


def _is_due() -> Q:
    return Q(announce_at__lte=Now())


def _announce_all(events: QuerySet[Event]) -> int:
    return sum(announce(event) for event in events.order_by("pk")[:MOST_AT_ONCE])


def _take(event: Event) -> bool:
    """Reserve the telling for this process, for as long as a lease."""
    row = Event.objects.using(home()).filter(pk=event.pk, announce_at=event.announce_at)
    return bool(row.update(announce_at=Now() + conf.LEASE))


def _beat(event: Event) -> None:
    """Keep it reserved: a hook may take longer than a lease."""
    rows = Event.objects.using(home()).filter(pk=event.pk, announce_at__isnull=False)
    rows.update(announce_at=Now() + conf.LEASE)


def _note_as_told(event: Event) -> None:
    Event.objects.using(home()).filter(pk=event.pk).update(announce_at=None)


def _run_of(event: Event) -> Run | None:
    return Run.objects.using(home()).filter(pk=event.run_id).first()


def _tell(
    event: Event, run: Run, task: Task | None, error: BaseException | None
) -> None:
    """Call the hook, then the receivers; what is wrong with one is not the others'."""
    signal = _signal_of(event)
    secrets = secrets_of_run(run) | (task.secrets if task else frozenset())
    listeners = Listeners(
        subject=str(run), report=partial(report, run=run), secrets=secrets
    )
    task_class = registry.find(run.task)
    if task_class and _has_hook(task_class, signal):  # Else it is gone, or has none.
        arguments = (error,) if signal is signals.run_errored else ()
        with listeners.reporting(f"{HOOKS[signal]}()"):
            task = task or task_class.restore(run.parameters, run=run)
            _call_hook(task, run, HOOKS[signal], *arguments)
    facts: dict[str, Any] = {"run": run}
    if signal is signals.run_errored:
        _notify(run, task, error, listeners)
        facts["error"] = error and presentable(error, secrets)
    listeners.send(signal, Run, **facts)


def _notify(
    run: Run, task: Task | None, error: BaseException | None, listeners: Listeners
) -> None:
    """Tell who asked for the run that an error has stopped it."""
    task_class = registry.find(run.task)
    if task_class and _notifies(task_class):
        with listeners.reporting("notify()"):
            task = task or task_class.restore(run.parameters, run=run)
            _call_hook(task, run, "notify", error)
    else:
        with listeners.reporting("The mail"):
            mails.tell_of_error(run)


def _signal_of(event: Event) -> Signal:
    status = Status(event.status)
    if status in FIRST_SIGNALS and not _is_repeated(event):
        return FIRST_SIGNALS[status]
    return SIGNALS[status]


def _is_repeated(event: Event) -> bool:
    """Tell whether the run has come into this status before."""
    same = Event.objects.using(home()).filter(
        run=event.run_id, kind=event.kind, status=event.status
    )
    return same.filter(pk__lt=event.pk).exists()


def _call_hook(task: Task, run: Run, name: str, *arguments: object) -> None:
    try:
        getattr(task, name)(*arguments)
    finally:
        run.keep_log(task.log_lines)
