"""SQLite has one writer and no queue for it: who writes beside a run gets a turn."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import quantiles
from unittest import mock

import pytest
from django.db import connection

from tests.integration.harness import faults, process, wait_until, work_off_queue
from tests.testapp.maintenance import CountUpInChunks
from tests.testapp.models import Item
from upkeep import Task
from upkeep.models import Run
from upkeep.runs.status import Status

WRITES = 500
AT_MOST = 0.3  # seconds, at the 99th percentile

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="by design: others have a lock for each row"
)


class Endless(Task):
    """Write to the database as fast as it goes."""

    app_label = "testapp"

    def collection(self) -> range:
        return range(1_000_000_000)

    def process(self, number: int) -> None:
        Item.objects.filter(pk=1).update(n=number)


class Neighbour(Endless):
    """Something else that people start meanwhile."""

    app_label = "testapp"
    concurrency = None


@pytest.mark.alone
@pytest.mark.django_db(transaction=True)
def test_500_writes_beside_a_run_at_full_speed_wait_no_longer_than_0_3_s(
    record_property: Callable[[str, object], None],
) -> None:
    """At the 99th percentile, enqueueing and pausing in turn, by another process."""
    Item.objects.create(pk=1)
    run = Endless.enqueue()
    with process(work_off_queue):
        assert wait_until(lambda: has_come_to(run, 1))
        before = run.done
        waits = list(itertools.islice(seconds_of_writes(), WRITES))
        assert has_come_to(run, before + WRITES), "the run was in nobody's way"
        assert run.status == Status.RUNNING
        run.cancel()
        assert wait_until(lambda: not fresh(run).is_active)

    *_, p99 = shares = quantiles(waits, n=100)
    for percent in (50, 95, 99):
        record_property(f"p{percent}_ms", round(shares[percent - 1] * 1000))
    record_property("max_ms", round(max(waits) * 1000))
    assert p99 <= AT_MOST, f"p99 {p99:.3f} s, at most {max(waits):.3f} s"


@pytest.mark.usefixtures("items", "known_chunks")
def test_between_two_chunks_the_write_lock_is_free_for_a_moment() -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
            cursor.execute("BEGIN IMMEDIATE")  # It raises where another has the lock.
        waits.append(seconds)

    with mock.patch.object(time, "sleep", sleep):
        run = CountUpInChunks.run_now()
    assert faults(run) == []
    assert len(waits) >= 2
    assert min(waits) >= 0.03  # What waits for the lock does not look more often.


def seconds_of_writes() -> Iterator[float]:
    """Enqueue runs and pause them, for ever, and yield how long each write took."""
    while True:
        begun = time.perf_counter()
        run = Neighbour.enqueue()
        yield time.perf_counter() - begun

        begun = time.perf_counter()
        run.pause()
        yield time.perf_counter() - begun


def has_come_to(run: Run, done: int) -> bool:
    """Tell whether a run has done so many items."""
    return fresh(run).done >= done


def fresh(run: Run) -> Run:
    """Return a run as its row is now."""
    run.refresh_from_db()
    return run
