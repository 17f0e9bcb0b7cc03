"""An item may take longer than the lease: a pacemaker keeps it alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from tests.execution.story import effects, once
from tests.testapp.models import Effect
from upkeep import Task
from upkeep.dispatch.recovery import sweep
from upkeep.runs.leases import Lease
from upkeep.runs.status import Status

Known = Callable[[Any], Any]

LEASE = timedelta(seconds=1.5)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def short_lease(settings: Settings) -> None:
    settings.UPKEEP = {"LEASE": LEASE}


def slow(known: Known, *, atomic: bool) -> type[Task]:
    """Return a task of two items, the second of which takes three leases."""
    in_transaction = atomic

    class Trial(Task):
        atomic = in_transaction
        chunk = timedelta(seconds=60)

        def collection(self) -> Any:
            return [1, 2]

        def process(self, number: int) -> None:
            Effect.objects.create(item=number)
            if number == 2:
                time.sleep(3 * LEASE.total_seconds())

    return known(Trial)  # type: ignore[no-any-return]


@contextmanager
def sweeping() -> Iterator[list[int]]:
    """Have a watcher beside us that looks for abandoned runs again and again."""
    taken: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            taken.append(sweep(prune=False).taken_over)
        connections.close_all()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield taken
    finally:
        stop.set()
        watcher.join()


def test_an_item_of_three_leases_is_done_once(
    known: Known, isolation: str, on_a_server: None
) -> None:
    with sweeping() as taken:
        run = slow(known, atomic=True).run_now()
    assert (run.status, run.done, run.attempts) == (Status.SUCCEEDED, 2, 1)
    assert effects() == once(1, 2)
    assert len(taken) > 10
    assert sum(taken) == 0


def test_without_a_transaction_too(known: Known) -> None:
    with sweeping() as taken:
        run = slow(known, atomic=False).run_now()
    assert (run.status, run.done, run.attempts) == (Status.SUCCEEDED, 2, 1)
    assert effects() == once(1, 2)
    assert sum(taken) == 0


def test_short_chunks_need_no_beat(known: Known) -> None:
    @known
    class Trial(Task):
        def collection(self) -> Any:
            return range(3)

        def process(self, number: int) -> None:
            pass

    run = Trial.run_now()
    assert Lease.objects.get(run=run).until is None


def test_no_thread_is_left_behind(known: Known) -> None:
    slow(known, atomic=False).run_now()
    assert "upkeep-pacemaker" not in [thread.name for thread in threading.enumerate()]
