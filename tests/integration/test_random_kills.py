"""Two workers, one of which is killed now and then: the run ends by itself, exact."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import pytest
from pytest_django import Settings

from tests.integration.harness import faults, has_ended, process, wait_until, worker
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Item
from upkeep.dispatch.recovery import watch
from upkeep.models import Run

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 20_000
KILLS = 25

# A takeover takes a lease and a sweep; all longer is no life of its own.
STANDSTILL = 60  # seconds


def work() -> None:
    """Be a worker of the queue until killed."""
    worker(interval=0.05).run()


def look_after_runs() -> None:
    """Be a watcher until killed."""
    watch(threading.Event())


def test_every_row_is_counted_up_once_whatever_is_killed(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    database_name: str,
    transactional_db: None,
) -> None:
    settings.UPKEEP = {"LEASE": timedelta(seconds=1)}
    Item.objects.bulk_create([Item() for _ in range(ROWS)], batch_size=1000)
    run = CountUp.enqueue()
    kills = 0
    with ExitStack() as watched, process(look_after_runs):
        workers = [start(watched) for _ in range(2)]
        while kills < KILLS and Run.objects.active().exists():
            time.sleep(random.uniform(0.05, 0.5))
            kill(workers.pop(random.randrange(2)))
            workers.append(start(watched))
            kills += 1
        see_it_end(run)
    with capsys.disabled():
        print(f"\n{kills} kills during {ROWS} rows on {database_name}")
    assert faults(run) == []
    assert kills == KILLS, "the run was over before the last kill"


def see_it_end(run: Run) -> None:
    """Wait for the end for as long as it comes nearer, however slow the machine is."""
    while run.is_active:
        done = run.done
        assert wait_until(partial(has_moved, run, done), timeout=STANDSTILL), story(run)


def has_moved(run: Run, done: int) -> bool:
    time.sleep(0.05)
    run.refresh_from_db()
    return not run.is_active or run.done > done


def story(run: Run) -> str:
    """Tell all there is to know of a run that goes on no more."""
    events = [f"{event.created_at} {event}" for event in run.events.all()]
    return "\n".join(
        [*events, *(f"{key}: {value}" for key, value in vars(run).items())]
    )


def start(watched: ExitStack) -> int:
    return watched.enter_context(process(work))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: has_ended(pid))
