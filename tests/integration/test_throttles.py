"""A run that waits for a throttle, with a real worker and people who steer it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django_tasks_db.models import DBTaskResult

from tests.integration.harness import (
    Point,
    Tripwire,
    clear,
    die,
    faults,
    has_ended,
    points_of_unbroken_run,
    process,
    rescue,
    wait_until,
    work_off_queue,
    worker,
)
from tests.testapp.clock import clock
from tests.testapp.maintenance import CountUpByNight, CountUpHeldOnce
from tests.testapp.models import Country
from upkeep.execution import throttling, waiting
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("items")]


def work() -> None:
    """Be a worker of the queue until killed."""
    worker(interval=0.05).run()


def waits(run: Run, *, times: int) -> bool:
    """Tell whether a worker has given the run back so many times."""
    run.refresh_from_db()
    return run.status == Status.INTERRUPTED and run.attempts >= times


def is_over(run: Run) -> bool:
    run.refresh_from_db()
    return not run.is_active


@pytest.fixture
def shop() -> Country:
    return Country.objects.create(code="open")


def test_it_waits_is_paused_resumed_and_goes_on(shop: Country) -> None:
    run = CountUpByNight.enqueue()
    with process(work):
        assert wait_until(lambda: waits(run, times=1))
        assert (run.throttled_by, run.done) == ("shop_is_open", 0)
        run.pause(by="ada")
        assert run.status == Status.PAUSED
        run.resume(by="ada")
        assert wait_until(lambda: waits(run, times=2))
        shop.delete()
        run.resume(by="ada")  # The five minutes are not over by far.
        assert wait_until(lambda: is_over(run))
    assert faults(run) == []
    assert (run.attempts, run.throttled_by, run.throttled_since) == (3, "", None)
    moves = list(run.events.filter(kind="move").values_list("status", flat=True))
    assert moves == [
        *("enqueued", "running", "interrupted", "paused", "enqueued"),
        *("running", "interrupted", "enqueued", "running", "succeeded"),
    ]


def test_it_looks_again_by_itself_and_does_not_spin(
    shop: Country, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WORTH_A_MESSAGE", timedelta(0))
    monkeypatch.setattr(CountUpByNight.shop_is_open, "_upkeep_throttle", TERMS)
    run = CountUpByNight.enqueue()
    with process(work):
        assert wait_until(lambda: waits(run, times=3))
        since, waited = run.throttled_since, run.attempts
        assert since
        assert run.run_after
        # Each time it waited a second at least, and each has cost a message.
        assert run.run_after - since >= timedelta(seconds=waited - 0.01)
        assert DBTaskResult.objects.count() in (waited + 1, waited + 2)
        shop.delete()
        assert wait_until(lambda: is_over(run))
    assert faults(run) == []


def while_held(points: list[Point]) -> list[Point]:
    """Return the points around what is written when it is held and when it goes on."""
    write = "before UPDATE upkeep_run SET lease_until"
    written = [
        point.number
        for point in points
        if point.name.startswith(write) and not point.in_transaction
    ]
    _total, held, going_on = written
    return points[held - 8 : going_on + 8]


@pytest.mark.usefixtures("short_leases", "known_chunks")
def test_each_effect_happens_once_wherever_a_worker_that_waits_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling, "monotonic", clock)
    monkeypatch.setattr(waiting, "monotonic", clock)
    monkeypatch.setattr(waiting, "sleep", clock.sleep)
    points = points_of_unbroken_run(CountUpHeldOnce.enqueue(), tmp_path / "points")
    wrong = []
    for point in while_held(points):
        clear()
        run = CountUpHeldOnce.enqueue()
        with process(partial(work_off_queue, Tripwire(point.number, die))) as pid:
            assert wait_until(lambda: has_ended(pid))
        with process(rescue) as pid:
            wait_until(lambda: has_ended(pid))
        wrong += [f"{point}: {fault}" for fault in faults(run)]
        if run.throttled_by:
            wrong.append(f"{point}: still throttled")
    assert wrong == []


TERMS = (timedelta(seconds=1), timedelta(0))
