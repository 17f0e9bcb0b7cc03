"""Dead letters that are retried, by real processes that die or want the same ones."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from django.db.models import Count, F
from django.utils import timezone

from tests.integration.harness import (
    PATIENCE,
    Point,
    Tripwire,
    clear,
    die,
    has_ended,
    points_of_unbroken_run,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.testapp.maintenance import CountUpAgain
from tests.testapp.models import Effect
from upkeep.exceptions import NoOpenLetters
from upkeep.models import DeadLetter, Run
from upkeep.runs import handling
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db(transaction=True)

# So many points are passed over: there are several hundred.
STEP = 13

State = DeadLetter.State


def parent_of(*keys: int) -> Run:
    """Return a run that is over and has kept these items."""
    run = Run.objects.create(
        task=CountUpAgain.label(),
        status=Status.SUCCEEDED,
        ended_at=timezone.now(),
    )
    DeadLetter.objects.bulk_create(
        DeadLetter(
            run=run,
            item=f"testapp.Item {key}",
            payload={"$model": "testapp.item", "pk": key},
            error_class="builtins.ValueError",
        )
        for key in keys
    )
    return run


def retrial() -> Run:
    """Have the items of all keys retried by a run."""
    (run,) = parent_of(*range(1, 31)).dead_letters.retry()
    return run


def faults_of(run: Run) -> list[str]:
    """Return what is wrong with a run that has retried all items."""
    run.refresh_from_db()
    counts = {"done": run.done, "failed": run.failed, "skipped": run.skipped}
    found = [] if run.status == Status.SUCCEEDED else [f"{run.status}: {run.reason}"]
    if counts != {"done": 27, "failed": 1, "skipped": 2}:
        found.append(f"the run counts {counts}")
    if (effects := Counter(Effect.objects.values_list("item", flat=True))) != Counter(
        set(range(1, 31)) - {5, 13, 20}
    ):
        found.append(f"the ledger has {effects}")
    expected = dict.fromkeys(range(1, 31), State.RESOLVED)
    expected |= {5: State.OPEN, 13: State.DISCARDED, 20: State.DISCARDED}
    states = dict(DeadLetter.objects.values_list("payload__pk", "state"))
    if wrong := {
        key: states.get(key) for key in expected if states[key] != expected[key]
    }:
        found.append(f"the letters are {wrong}")
    if len(states) != DeadLetter.objects.count():
        found.append("there are letters of the run itself")
    return found


@pytest.mark.usefixtures("items", "short_leases", "known_chunks")
def test_each_letter_is_settled_once_wherever_the_worker_is_killed(
    tmp_path: Path, every_point: bool, tell_tried: Callable[..., None]
) -> None:
    begun = time.monotonic()
    points = points_of_unbroken_run(retrial(), tmp_path / "points", faults_of=faults_of)
    tried = points if every_point else points[::STEP]
    wrong: dict[Point, list[str]] = {}
    for point in tried:
        clear()
        run = retrial()
        worker = partial(work_off_queue, Tripwire(point.number, die))
        with process(worker) as pid:
            assert wait_until(lambda: has_ended(pid))
        with process(rescue) as pid:
            wait_until(lambda: has_ended(pid))
        if found := faults_of(run):
            wrong[point] = found
    tell_tried(
        "a retrial of dead letters",
        tried=len(tried),
        points=len(points),
        bad=len(wrong),
        seconds=round(time.monotonic() - begun, 1),
    )
    assert wrong == {}


LETTERS, ROUNDS = 9, 40


def test_of_two_who_retry_each_letter_goes_to_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some at a time, so that both take part; nobody gets a run without letters."""
    monkeypatch.setattr(handling, "AT_ONCE", 3)
    parents = [parent_of(*range(LETTERS)) for _round in range(ROUNDS)]
    together = multiprocessing.get_context("fork").Barrier(2)
    with ExitStack() as stack:
        pids = [
            stack.enter_context(process(partial(retry_all, together, parents)))
            for _rival in range(2)
        ]
        assert wait_until(lambda: all(map(has_ended, pids)), timeout=4 * PATIENCE)
    letters = DeadLetter.objects.filter(state=State.RETRYING)
    assert letters.filter(retried_by__parent=F("run")).count() == LETTERS * ROUNDS
    runs = Run.objects.filter(parent__isnull=False)
    held = dict(runs.annotate(held=Count("letters_in_hand")).values_list("pk", "held"))
    assert held == dict(runs.values_list("pk", "total"))
    assert min(held.values()) > 0
    assert Run.objects.filter(pk__in=[p.pk for p in parents]).count() == ROUNDS


def retry_all(together: Barrier, parents: list[Run]) -> None:
    """Retry the letters of each run at the same instant as another."""
    for parent in parents:
        together.wait(PATIENCE)
        try:
            parent.dead_letters.retry()
        except NoOpenLetters:
            continue
