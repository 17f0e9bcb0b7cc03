"""Many at once: workers, sweepers and people who get in each other's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from django.db import connections
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from tests.dispatch.queue import messages
from tests.integration.harness import (
    Tripwire,
    clear,
    die,
    faults,
    has_ended,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Item
from upkeep.conf import conf
from upkeep.databases import Now
from upkeep.dispatch.messages import _send
from upkeep.dispatch.recovery import Swept, sweep
from upkeep.exceptions import InvalidTransition
from upkeep.execution import executor
from upkeep.execution.claim import Claim
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("items"),
]


class TestMessages:
    """However often a message comes, and to however many, its run is done once."""

    def test_five_copies_for_three_workers(self) -> None:
        run = CountUp.enqueue()
        for _copy in range(4):
            _send(run)
        assert len(messages()) == 5
        with ExitStack() as stack:
            workers = [stack.enter_context(process(work_off_queue)) for _ in range(3)]
            assert wait_until(lambda: all(map(has_ended, workers)))
        assert faults(run) == []
        assert run.attempts == 1

    def test_copies_that_come_when_it_is_over_change_nothing(self) -> None:
        run = CountUp.enqueue()
        token = run.lease_token
        executor.execute(run.pk, token)
        assert executor.execute(run.pk, token) is None
        assert faults(run) == []


class TestSweepers:
    """Of two that sweep at once, one finds something to do."""

    def test_one_takes_a_run_over(self) -> None:
        run = CountUp.enqueue()
        Claim.take(run.pk, run.lease_token)
        Run.objects.update(lease_until=Now() - timedelta(minutes=1))
        before = len(messages())
        assert sum(swept.taken_over for swept in sweep_at_once(4)) == 1
        assert len(messages()) == before + 1

    def test_one_sends_a_message_again(self) -> None:
        CountUp.enqueue()
        Run.objects.update(resend_at=Now() - timedelta(minutes=1), message_id="")
        before = len(messages())
        assert sum(swept.sent_again for swept in sweep_at_once(4)) == 1
        assert len(messages()) == before + 1


def sweep_at_once(number: int) -> list[Swept]:
    """Sweep in so many threads, each with a connection of its own."""
    found: list[Swept] = []
    start = threading.Barrier(number)

    def work() -> None:
        start.wait()
        found.append(sweep(prune=False))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == number
    return found


def paused() -> Run:
    run = CountUp.enqueue()
    run.pause()
    return run


def running() -> Run:
    run = CountUp.enqueue()
    Claim.take(run.pk, run.lease_token)
    return run


def pausing() -> Run:
    run = running()
    run.pause()
    return run


class TestPeople:
    """Whoever dies or changes their mind while they steer a run leaves it whole."""

    @pytest.mark.parametrize(
        ("stage", "wish"),
        [
            (CountUp.enqueue, Run.pause),
            (CountUp.enqueue, Run.cancel),
            (paused, Run.resume),
            (running, Run.pause),
            (pausing, Run.resume),
        ],
        ids=["pause", "cancel", "resume", "ask to pause", "take back"],
    )
    def test_one_who_is_killed_at_any_statement(
        self,
        short_leases: None,
        stage: Callable[[], Run],
        wish: Callable[[Run], None],
        tmp_path: Path,
    ) -> None:
        def steer(run: Run, tripwire: Tripwire) -> None:
            tripwire.install()
            wish(run)
            (tmp_path / "points").write_text(str(len(tripwire.points)))

        def kill(at: int | None) -> Run:
            clear()
            run = stage()
            with process(lambda: steer(run, Tripwire(at, die))) as pid:
                assert wait_until(lambda: has_ended(pid))
            return run

        kill(None)
        wrong = []
        for point in range(1, int((tmp_path / "points").read_text()) + 1):
            run = kill(point)
            bring_to_an_end(run)
            if run.status != Status.CANCELLED:
                wrong += [f"{point}: {fault}" for fault in faults(run)]
        assert wrong == []

    def test_one_who_cannot_decide_beside_two_workers(self, settings: Settings) -> None:
        Item.objects.bulk_create(Item(pk=pk) for pk in range(31, 301))
        with (
            mock.patch.object(CountUp, "chunk", timedelta(milliseconds=5)),
            ExitStack() as stack,
        ):
            run = CountUp.enqueue()
            workers = [stack.enter_context(process(rescue)) for _ in range(2)]
            wishes = 0
            while not run.done:
                run.refresh_from_db()
            while run.is_active and wishes < 40:
                wishes += waver(run)
            assert wait_until(lambda: all(map(has_ended, workers)))
        assert faults(run) == []
        assert wishes > 3


def waver(run: Run) -> int:
    """Pause a run and resume it; return whether it was still there to be paused."""
    try:
        run.pause()
        time.sleep(0.01)  # So long a person thinks.
        run.resume()
    except InvalidTransition:
        return 0
    return 1


def bring_to_an_end(run: Run) -> None:
    """See a run to its end; if somebody has paused it, by resuming it first."""
    run.refresh_from_db()
    if run.status == Status.PAUSED:
        run.resume()
    with process(rescue) as pid:
        wait_until(lambda: has_ended(pid) or resumed(run))
        wait_until(lambda: has_ended(pid))
    run.refresh_from_db()


def resumed(run: Run) -> bool:
    """Resume a run that came to be paused after all."""
    run.refresh_from_db()
    if run.status == Status.PAUSED:
        run.resume()
        return True
    return False


class TestClocks:
    """A worker's own clock may jump: only the database's decides."""

    @pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)])
    def test_a_jump_inside_a_chunk_changes_nothing(
        self, jump: timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, work = time.time, CountUp.process

        def jump_at_7(self: CountUp, item: Item) -> None:
            work(self, item)
            if item.pk == 7:
                monkeypatch.setattr(time, "time", lambda: real() + jump.total_seconds())

        monkeypatch.setattr(CountUp, "process", jump_at_7)
        run = CountUp.run_now()
        assert faults(run) == []
        assert run.attempts == 1

    @pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(days=-1)])
    def test_a_wrong_one_makes_no_lease_longer_or_shorter(
        self, wrong: timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, now = CountUp.enqueue(), timezone.now
        with monkeypatch.context() as there:
            there.setattr(timezone, "now", lambda: now() + wrong)
            Claim.take(run.pk, run.lease_token)
        assert sweep(prune=False).taken_over == 0
        pass_time(conf.LEASE)
        assert sweep(prune=False).taken_over == 1

    @pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(days=-1)])
    def test_a_wrong_one_takes_no_run_from_whoever_holds_it(
        self, wrong: timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, now = running(), timezone.now
        monkeypatch.setattr(timezone, "now", lambda: now() + wrong)
        assert sweep(prune=False).taken_over == 0
        pass_time(conf.LEASE)
        assert sweep(prune=False).taken_over == 1
        run.refresh_from_db()
        assert run.status == Status.INTERRUPTED


def pass_time(by: timedelta) -> None:
    """Move the lease back: that is what the clock of the database sees."""
    Run.objects.update(lease_until=F("lease_until") - by)
