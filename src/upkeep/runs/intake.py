"""How a run comes to be: its parameters cleaned, its row written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from upkeep.conf import conf
from upkeep.databases import Now, home, through_deadlocks, writing
from upkeep.runs import slots, uploads
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run, announce_on_commit
from upkeep.tasks import parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AbstractBaseUser

    from upkeep.tasks.order import Order


def write(order: Order, *, tell: Callable[[Run], object]) -> Run:
    """
    Write the row of a run, enqueued, and in the same transaction tell who is to know.

    Raises InvalidParameters or AlreadyActive; no row and no file is left then.
    """
    task = order.task(**order.given)
    stored = parameters.dump(task.fields, task.values)
    try:
        return through_deadlocks(
            home(), lambda: _write(_new_run(order, stored), by=order.by, tell=tell)
        )
    except BaseException:
        parameters.delete_files(stored)
        raise


def write_child(parent: Run, *, by: AbstractBaseUser | str, rate: float | None) -> Run:
    """
    Write the row of a run that is to try dead letters of another once more.

    It is for who gives it these letters to send its message; the sweep sends one if
    that is left undone. Raises TaskNotFound or AlreadyActive.
    """
    task = parent.task_class
    run = Run(
        task=task.label(),
        parent=parent,
        rate=rate,
        permission=task.permission or "",
        parameters=parent.parameters,
        metadata=parent.metadata,
        requested_by=as_user(by),
        backend=parent.backend,
        queue=parent.queue,
        priority=parent.priority,
        total=0,
        unit=parent.unit,
        reason=f"It retries dead letters of run {parent.pk}.",
    )
    return _write(run, by=by, tell=_expect)


def _expect(run: Run) -> None:
    row = Run.objects.using(home()).filter(pk=run.pk)
    row.update(resend_at=Now() + conf.LEASE)


def _write(
    run: Run,
    *,
    by: AbstractBaseUser | str | None,
    tell: Callable[[Run], object],
) -> Run:
    with writing(home()):
        _insert(run)
        Lease.objects.using(home()).create(run=run, token=run.lease_token)
        if run.parent_id is None:  # Otherwise its files are those of its parent.
            uploads.note(run)
        event = run.note_move(actor=str(by or ""))
        tell(run)
        announce_on_commit(event)
    return run


def _new_run(order: Order, stored: dict[str, Any]) -> Run:
    return Run(
        task=order.task.label(),
        permission=order.task.permission or "",
        parameters=stored,
        metadata=order.metadata,
        requested_by=as_user(order.by),
        backend=order.backend,
        queue=order.queue,
        priority=order.priority,
        run_after=order.run_after,
    )


def _insert(run: Run) -> None:
    def insert(key: str | None) -> None:
        run.active_key = key
        run.pk = None  # An attempt for another slot may have set it.
        run.save(using=home(), force_insert=True)

    slots.take(run, insert)


def as_user(by: AbstractBaseUser | str | None) -> Any:
    """Return who wants something where that is a user, and not only a name."""
    return by if isinstance(by, get_user_model()) else None
