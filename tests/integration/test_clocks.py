"""Clocks that are wrong by hours: what counts is the one of the database."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError
from django.db.backends.signals import connection_created
from django.utils import timezone
from django_tasks_db.models import DBTaskResult, get_date_max
from pytest_django import Settings

from tests.integration.harness import (
    PATIENCE,
    faults,
    has_ended,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.testapp.maintenance import CountUp, Numbers
from tests.testapp.models import Effect, Item
from upkeep import Throttle
from upkeep.databases import Now
from upkeep.dispatch import recovery
from upkeep.dispatch.brokers import broker
from upkeep.dispatch.recovery import sweep
from upkeep.execution import waiting
from upkeep.execution.claim import Claim
from upkeep.models import Event, Run
from upkeep.port import port
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db(transaction=True)

AHEAD, BEHIND = timedelta(hours=5), timedelta(hours=-5)
each_way = pytest.mark.parametrize("by", [AHEAD, BEHIND], ids=["ahead", "behind"])


class WallClock:
    """The clock of a process, which somebody may set."""

    def __init__(self, by: timedelta = timedelta(0)) -> None:
        self.by = by
        self.time = time.time

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def seconds(self) -> float:
        return self.time() + self.by.total_seconds()

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Have this process go by it."""
        with (
            mock.patch.object(timezone, "now", self.now),
            mock.patch.object(time, "time", self.seconds),
        ):
            yield


@pytest.fixture(autouse=True)
def lease(settings: Settings) -> None:
    settings.UPKEEP = {"LEASE": timedelta(seconds=1)}


@contextmanager
def worker_by(clock: WallClock, work: Callable[[], Any]) -> Iterator[int]:
    """Have a process that goes by a clock of its own."""

    def with_clock() -> None:
        with clock.ticking():
            work()

    with process(with_clock) as pid:
        yield pid


def read(run: Run) -> Run:
    run.refresh_from_db()
    return run


# Leases


@each_way
def test_a_clock_that_is_set_in_the_midst_of_a_run_costs_it_nothing(
    items: list[Item], by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, steps = WallClock(), {5: by, 15: -by, 25: timedelta(0)}

    def process(self: CountUp, item: Item) -> None:
        effect(self, item)
        clock.by = steps.get(item.pk, clock.by)
        time.sleep(0.05)

    effect = CountUp.process
    monkeypatch.setattr(CountUp, "process", process)
    run = CountUp.enqueue()
    with worker_by(clock, work_off_queue) as pid, worker_by(WallClock(by), watch):
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []
    assert run.attempts == 1
    assert timedelta(0) < run.time_running < timedelta(minutes=1)


def watch() -> None:
    """Sweep until one is ended."""
    while True:
        with suppress(DatabaseError):
            sweep(prune=False)
        time.sleep(0.05)


@each_way
def test_a_worker_that_is_killed_keeps_its_run_no_longer_than_its_lease(
    items: list[Item], by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(self: CountUp, item: Item) -> None:
        if item.pk == 7 and read(run).attempts == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        effect(self, item)

    effect = CountUp.process
    monkeypatch.setattr(CountUp, "process", process)
    run = CountUp.enqueue()
    with worker_by(WallClock(by), work_off_queue) as pid:
        assert wait_until(lambda: has_ended(pid))
    with worker_by(WallClock(-by), rescue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []
    assert run.attempts == 2


# Waits


class HeldOnce(Throttle):
    """Holds for a moment, once."""

    backoff = timedelta(seconds=1)
    every = timedelta(0)

    def check(self, task: Any) -> object:
        return Effect.objects.count() >= 10 and not was_held()


def was_held() -> bool:
    return Event.objects.filter(status=Status.INTERRUPTED).exists()


@pytest.fixture
def held(items: list[Item], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run that gives its worker back for a second."""
    monkeypatch.setattr(waiting, "WORTH_A_MESSAGE", timedelta(0))
    monkeypatch.setattr(CountUp, "throttles", [HeldOnce()])
    return CountUp.enqueue()


@each_way
def test_a_wait_ends_by_the_clock_of_the_database(held: Run, by: timedelta) -> None:
    with worker_by(WallClock(by), work_off_queue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert read(held).status == Status.INTERRUPTED
    with worker_by(WallClock(by), rescue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(held) == []
    assert held.attempts == 2


def test_a_message_that_is_to_come_later_does_so_though_the_clock_is_ahead(
    held: Run,
) -> None:
    with worker_by(WallClock(AHEAD), work_off_queue) as pid:
        assert wait_until(lambda: has_ended(pid))
    due = DBTaskResult.objects.latest("enqueued_at").run_after
    assert due < get_date_max()
    told = read(held).run_after
    assert told is not None
    assert timedelta(0) < due - told <= timedelta(seconds=1)


def test_without_company_a_message_waits_for_a_clock_that_is_behind(
    held: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Show that the test above can fail: the queue's worker goes by its own clock."""

    def waits_its_turn(run: Run) -> bool:
        return bool(broker(run.backend).holds(run.message_id))

    monkeypatch.setattr(recovery, "_waits_its_turn", waits_its_turn)
    with worker_by(WallClock(BEHIND), rescue) as pid:
        assert not wait_until(lambda: has_ended(pid), timeout=6)
    assert read(held).status == Status.INTERRUPTED


@each_way
def test_what_is_owed_of_a_move_is_told_by_the_clock_of_the_database(
    by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbers, "after_pause", lambda self: None, raising=False)
    run = Numbers.enqueue()

    def pause() -> None:
        with mock.patch.object(port, "announce"):
            run.pause()

    with worker_by(WallClock(by), pause) as pid:
        assert wait_until(lambda: has_ended(pid))
    event = run.events.get(status=Status.PAUSED)
    assert event.announce_at is not None
    now = Run.objects.values_list(Now(), flat=True).get()
    assert timedelta(seconds=-20) < event.announce_at - now <= timedelta(seconds=1)


# Zones


def in_another_zone(work: Callable[[], Any]) -> None:
    """Work with sessions and a project in zones that are not those of the others."""
    statements = {
        "mysql": "SET time_zone = '+09:00'",
        "postgresql": "SET TIME ZONE 'Asia/Tokyo'",
    }

    def set_zone(connection: Any, **kwargs: Any) -> None:
        if statement := statements.get(connection.vendor):
            with connection.cursor() as cursor:
                cursor.execute(statement)

    connection_created.connect(set_zone)
    with mock.patch.dict(os.environ, TZ="America/New_York"):
        time.tzset()
        with timezone.override("America/New_York"):
            work()


def test_sessions_in_another_zone_agree_on_waits_and_leases(held: Run) -> None:
    with process(partial(in_another_zone, work_off_queue)) as pid:
        assert wait_until(lambda: has_ended(pid))
    due = read(held).run_after
    assert due is not None
    assert abs(due - timezone.now()) < timedelta(minutes=1)
    with process(rescue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(held) == []
    assert held.attempts == 2


def test_a_lease_that_was_written_in_another_zone_holds_and_ends(
    items: list[Item],
) -> None:
    run = CountUp.enqueue()

    def claim_and_die() -> None:
        Claim.take(run.pk, run.lease_token)

    with process(partial(in_another_zone, claim_and_die)) as pid:
        assert wait_until(lambda: has_ended(pid))
    until = read(run).lease_until
    assert until is not None
    assert abs(until - timezone.now()) < timedelta(minutes=1)
    with process(partial(in_another_zone, rescue)) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []
    assert run.attempts == 2


# The same instant


def test_of_two_who_claim_at_the_same_instant_one_wins(tmp_path: Path) -> None:
    rounds = 60
    runs = [Numbers.enqueue() for _round in range(rounds)]
    together = multiprocessing.get_context("fork").Barrier(2)
    paths = [tmp_path / "one", tmp_path / "two"]
    with ExitStack() as stack:
        rivals = [partial(claim_each, runs, together, path) for path in paths]
        pids = [stack.enter_context(process(rival)) for rival in rivals]
        assert wait_until(lambda: all(map(has_ended, pids)), timeout=4 * PATIENCE)
    each = zip(*(json.loads(path.read_text()) for path in paths), strict=True)
    assert Counter(map(sum, each)) == {1: rounds}
    assert set(Run.objects.values_list("attempts", flat=True)) == {1}


def claim_each(runs: list[Run], together: Barrier, path: Path) -> None:
    """Claim each run at the same instant as another, and note which were won."""
    won = []
    for run in runs:
        together.wait(PATIENCE)
        won.append(Claim.take(run.pk, run.lease_token) is not None)
    path.write_text(json.dumps(won))
