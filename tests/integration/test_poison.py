"""An item that ends its worker each time is found, and is not tried for ever."""

from __future__ import annotations

from functools import partial

import pytest

from tests.execution.story import resume
from tests.integration.harness import has_ended, process, wait_until, work_off_queue
from tests.testapp.maintenance import (
    CountUpOverPoison,
    QuarantinePoison,
    WalkPoison,
)
from tests.testapp.models import Effect
from upkeep.dispatch.recovery import sweep
from upkeep.execution.executor import MOST_WORKERS_LOST
from upkeep.models import Run
from upkeep.runs.status import Status

POISON = CountUpOverPoison.poison

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "items"),
]


def workers_until_it_is_over(run: Run) -> int:
    """Send one worker after the other, and return how many that took."""
    for number in range(1, 100):
        with process(work_off_queue) as pid:
            assert wait_until(partial(has_ended, pid))
        run.refresh_from_db()
        if not run.is_active:
            return number
        assert wait_until(lambda: sweep(prune=False).taken_over)
    raise AssertionError(f"{run} is never over: {run.reason}")


def test_it_is_kept_where_a_rule_says_so_and_the_run_goes_on() -> None:
    run = QuarantinePoison.enqueue()
    workers = workers_until_it_is_over(run)
    assert (run.status, run.done, run.failed) == (Status.SUCCEEDED, 29, 1)
    effects = sorted(Effect.objects.values_list("item", flat=True))
    assert effects == [pk for pk in range(1, 31) if pk != POISON]
    letter = run.dead_letters.get()
    assert letter.item == f"testapp.Item {POISON}"
    assert letter.attempts == MOST_WORKERS_LOST
    assert letter.error_class == "upkeep.exceptions.WorkerLost"
    assert workers <= 2 * MOST_WORKERS_LOST


def test_it_stops_the_run_where_none_does() -> None:
    run = CountUpOverPoison.enqueue()
    workers_until_it_is_over(run)
    assert (run.status, run.done) == (Status.ERRORED, POISON - 1)
    assert run.error_at == f"testapp.Item {POISON}"
    assert f"{MOST_WORKERS_LOST} workers fell silent over it" in run.reason


def test_a_collection_that_does_it_stops_the_run() -> None:
    run = WalkPoison.enqueue()
    assert workers_until_it_is_over(run) == MOST_WORKERS_LOST + 2
    assert (run.status, run.done) == (Status.ERRORED, 0)
    assert "fell silent over it" in run.reason


def test_who_resumes_the_run_has_it_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = CountUpOverPoison.enqueue()
    workers_until_it_is_over(run)
    monkeypatch.setattr(CountUpOverPoison, "poison", None)
    run = resume(run)
    assert (run.status, run.done) == (Status.SUCCEEDED, 30)


def test_workers_lost_elsewhere_do_not_count() -> None:
    run = CountUpOverPoison.enqueue()
    Run.objects.update(workers_lost=MOST_WORKERS_LOST - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CountUpOverPoison, "poison", None)
        with process(work_off_queue) as pid:
            assert wait_until(partial(has_ended, pid))
    run.refresh_from_db()
    assert (run.status, run.workers_lost) == (Status.SUCCEEDED, 0)
