"""What a run has left behind, and how a test has it go on."""

from __future__ import annotations

from collections import Counter

from tests.testapp.models import Effect
from upkeep.execution import executor
from upkeep.models import Run
from upkeep.runs.events import Event


def go_on(run: Run) -> Run:
    """Be the next worker of a run, until it ends or something stops it."""
    run.refresh_from_db()
    executor.execute(run.pk, run.lease_token, to_the_end=True)
    run.refresh_from_db()
    return run


def resume(run: Run) -> Run:
    """Resume a run, and be the worker that hears of it."""
    run.resume()
    return go_on(run)


def effects() -> dict[int, int]:
    """Return how many effects each item had, by the ledger."""
    return dict(Counter(Effect.objects.values_list("item", flat=True)))


def once(*keys: int) -> dict[int, int]:
    """Return the ledger of items that each had one effect."""
    return dict.fromkeys(keys, 1)


def log_of(run: Run) -> list[str]:
    """Return the lines that the task has logged."""
    lines = run.events.filter(kind=Event.Kind.LOG)
    return list(lines.values_list("text", flat=True))
