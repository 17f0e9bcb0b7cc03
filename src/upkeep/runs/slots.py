"""How many runs of a task may be active at once: the slots, and who holds them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from django.apps import apps
from django.db import IntegrityError, transaction

from upkeep.databases import home
from upkeep.exceptions import AlreadyActive
from upkeep.runs.status import Status
from upkeep.tasks.parameters import fingerprint

if TYPE_CHECKING:
    from upkeep.runs.models import Run

Written = TypeVar("Written")


def take(run: Run, write: Callable[[str | None], Written]) -> Written:
    """
    Write the run's row with the key of a free slot. Raises AlreadyActive.

    The unique column `active_key` decides a race, and it is empty in runs that are
    over: MariaDB has no partial index that could say so.
    """
    # Twice: a holder that stood in the way may be over when one looks for it.
    for _attempt, (key, *former) in itertools.product((1, 2), _keys(run)):
        if _holders(*former).exists():
            continue  # It began when the task had another name.
        try:
            with transaction.atomic(using=home()):
                return write(key)
        except IntegrityError as error:
            # All three databases name the column. To look for the holder instead is
            # no way: under repeatable read it cannot be seen.
            if key is None or "active_key" not in str(error):
                raise  # It was about something else.
    raise AlreadyActive(_sentence(run))


def _keys(run: Run) -> list[list[str | None]]:
    """Return each slot's key, and behind it those that it had under former names."""
    task = run.task_class
    match task.concurrency:
        case None:
            return [[None]]
        case 1 if run.parent_id is not None:
            return [[None]]  # No dead letter is in two runs: nothing is done twice.
        case 1:
            slots = [fingerprint(run.parameters)]
        case n:
            slots = [f"slot {slot}" for slot in range(n)]
    return [
        [_key(name, slot) for name in (task.label(), *task.aliases)] for slot in slots
    ]


def _key(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


def _holders(*keys: str | None):  # type: ignore[no-untyped-def]
    runs = apps.get_model("upkeep", "Run").objects.using(home())
    return runs.filter(active_key__in=keys) if keys else runs.none()


def _sentence(run: Run) -> str:
    keys = _keys(run)
    holder = _holders(*keys[0]).first()
    if len(keys) == 1 and holder is None:
        return f"A run of {run.task} with the same parameters is active. {_PATIENCE}"
    if len(keys) > 1 or holder is None:
        return (
            f"{len(keys)} runs of {run.task} are active, as many as its concurrency "
            "allows. Wait for one of them, or cancel it."
        )
    advice = "Resume it, or cancel it." if holder.status == Status.PAUSED else _PATIENCE
    return f"{holder} with the same parameters is {holder.status}. {advice}"


_PATIENCE = "Wait for it, cancel it, or raise the task's concurrency."
