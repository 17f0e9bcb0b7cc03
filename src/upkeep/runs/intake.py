"""How a run comes to be: its parameters cleaned, its row written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from upkeep.databases import home, through_deadlocks, writing
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
            home(), lambda: _write(_new_run(order, stored), order, tell)
        )
    except BaseException:
        parameters.delete_files(stored)
        raise


def _write(run: Run, order: Order, tell: Callable[[Run], object]) -> Run:
    with writing(home()):
        _insert(run)
        Lease.objects.using(home()).create(run=run, token=run.lease_token)
        uploads.note(run)
        event = run.note_move(actor=_name(order.by))
        tell(run)
        announce_on_commit(event)
    return run


def _new_run(order: Order, stored: dict[str, Any]) -> Run:
    return Run(
        task=order.task.label(),
        permission=order.task.permission or "",
        parameters=stored,
        metadata=order.metadata,
        requested_by=order.by if isinstance(order.by, get_user_model()) else None,
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


def _name(by: AbstractBaseUser | str | None) -> str:
    return str(by or "")
