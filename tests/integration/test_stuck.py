"""An item that never ends is named, with the place where its worker stands."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tests.integration.harness import (
    PATIENCE,
    has_ended,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.management.commands import upkeep
from tests.testapp.maintenance import CountUp, CountUpOutside
from tests.testapp.models import Effect, Item
from upkeep.dispatch.recovery import sweep
from upkeep.execution.stuck import Lookout
from upkeep.models import Run
from upkeep.runs.leases import stuck
from upkeep.runs.status import Status
from upkeep.runs.why import why

pytestmark = pytest.mark.django_db(transaction=True)

HANGS = 7


@pytest.fixture(autouse=True)
def short_times(settings: Settings) -> None:
    settings.UPKEEP = {
        "LEASE": timedelta(seconds=0.6),
        "STUCK_AFTER": timedelta(seconds=0.4),
    }


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file for which one item waits."""
    gate = tmp_path / "gate"

    def process(self: CountUp, item: Item) -> None:
        effect(self, item)
        if item.pk == HANGS:
            wait_for_gate(gate)

    effect = CountUp.process
    monkeypatch.setattr(CountUp, "process", process)
    return gate


def wait_for_gate(gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.01)


@pytest.fixture(params=[CountUp, CountUpOutside], ids=["atomic", "outside"])
def task(request: pytest.FixtureRequest) -> type[CountUp]:
    """Return a task in which the pacemaker can write."""
    found: type[CountUp] = request.param
    if found.atomic and connection.vendor == "sqlite":
        pytest.skip("by design: SQLite's one writer is the chunk itself")
    return found


@contextmanager
def hanging(
    task: type[CountUp], patience: float = PATIENCE
) -> Iterator[tuple[Run, int]]:
    """Have a worker hang in an item until it is told of."""
    run = task.enqueue()
    with process(work_off_queue) as pid:
        is_told = wait_until(lambda: stuck(read(run)) is not None, patience)
        assert is_told, "nobody is told"
        yield read(run), pid


def read(run: Run) -> Run:
    run.refresh_from_db()
    return run


def timeless(sentence: str) -> str:
    """Return what is said of an item without for how long it has been in hand."""
    start, _, rest = sentence.partition(" for ")
    return f"{start}{rest.partition(';')[2]}"


def test_it_is_told_wherever_one_looks(
    items: list[Item], gate: Path, task: type[CountUp], admin_client: Client
) -> None:
    with hanging(task) as (run, pid):
        sentence = why(run)
        assert sentence.startswith(f"testapp.Item {HANGS} has been in hand for ")
        assert f":{pid} stands at " in sentence
        assert "test_stuck.py:" in sentence
        assert ", in process." in sentence
        assert "pause or cancel the run and then kill that process" in sentence
        page = admin_client.get(f"/upkeep/runs/{run.pk}/").content.decode()
        assert "Where its worker stands" in page
        assert "in wait_for_gate" in page
        assert "in wait_for_gate" in upkeep("status", run.pk).out
        told = admin_client.get(
            f"/upkeep/runs/{run.pk}/", headers={"accept": "application/json"}
        ).json()
        assert told["stuck"]["item"] == f"testapp.Item {HANGS}"
        assert timeless(told["why"]) == timeless(why(read(run)))


def test_the_stack_begins_with_the_task_s_own_code(
    items: list[Item], gate: Path, task: type[CountUp]
) -> None:
    with hanging(task) as (run, _pid):
        lease = stuck(run)
        assert lease is not None
        first, *_, last = lease.stack.split("File ")[1:]
        assert first.splitlines()[0].endswith(", in process")
        assert last.splitlines()[0].endswith(", in wait_for_gate")


def test_nothing_is_told_of_it_when_it_has_ended(
    items: list[Item], gate: Path, task: type[CountUp]
) -> None:
    with hanging(task) as (run, pid):
        gate.touch()
        assert wait_until(lambda: has_ended(pid))
        assert stuck(read(run)) is None
        assert (run.status, why(run)) == (Status.SUCCEEDED, "")


def test_a_checkpoint_makes_it_void_before_the_next_beat(
    items: list[Item], gate: Path, task: type[CountUp]
) -> None:
    with hanging(task) as (run, pid):
        os.kill(pid, signal.SIGSTOP)
        lease = stuck(run)
        assert lease is not None
        assert lease.until is not None
        run.lease_until = lease.until + timedelta(seconds=0.1)
        run.save(update_fields=["lease_until"])
        assert stuck(run) is None
        assert "has been in hand" not in why(run)


def test_without_the_lookout_nobody_is_told(
    items: list[Item],
    gate: Path,
    task: type[CountUp],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lookout, "look", lambda self, begun: None)
    with pytest.raises(AssertionError, match="nobody is told"), hanging(task, 2):
        pass


@pytest.mark.parametrize("wish", ["pause", "cancel"])
def test_who_kills_its_worker_after_a_wish_has_the_run_stop_before_it(
    items: list[Item], gate: Path, task: type[CountUp], wish: str
) -> None:
    with hanging(task) as (run, pid):
        getattr(run, wish)(by="ada")
        assert "If it never ends, kill that process" in why(read(run))
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: sweep(prune=False).taken_over)
    stopped = {"pause": Status.PAUSED, "cancel": Status.CANCELLED}[wish]
    assert read(run).status == stopped
    assert run.done < HANGS
    if wish == "pause":
        gate.touch()
        run.resume()
        with process(rescue) as rescuer:
            assert wait_until(lambda: has_ended(rescuer))
        assert read(run).status == Status.SUCCEEDED
        wanted = 1 if task.atomic else 2
        assert Effect.objects.filter(item=HANGS).count() == wanted
