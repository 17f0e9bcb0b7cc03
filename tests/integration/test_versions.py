"""Two versions of the code side by side on one queue: no item is skipped or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from itertools import cycle
from typing import Any
from unittest import mock

import pytest

from tests.integration.harness import faults, has_ended, process, wait_until, worker
from tests.registering import registered, renamed
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Call, Item
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("items"),
]

Version = Callable[[], Any]


@pytest.fixture(autouse=True)
def in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a message for each few items."""
    monkeypatch.setattr(CountUp, "time_budget", timedelta(microseconds=1))
    monkeypatch.setattr(CountUp, "batch_size", 3)
    monkeypatch.setattr(CountUp, "chunk", timedelta(microseconds=1))


def work_on_one_message(version: Version) -> None:
    """Be a worker with a version of the code, for one message."""
    with version():
        one = worker(batch=True, interval=0)
        one.max_tasks = 1
        one.run()


def work_by_turns(run: Run, *versions: Version) -> None:
    """Have workers of all versions take the run up, one after the other."""
    for version in cycle(versions):
        with process(partial(work_on_one_message, version)) as pid:
            assert wait_until(lambda: has_ended(pid))
        run.refresh_from_db()
        if run.status not in {Status.ENQUEUED, Status.INTERRUPTED}:
            return


@contextmanager
def writing_down(name: str) -> Iterator[None]:
    """Have this process do the items as a version does that bears a name."""
    effect = CountUp.process

    def process(self: CountUp, item: Item) -> None:
        effect(self, item)
        Call.objects.create(name=name, process=item.pk)

    with mock.patch.object(CountUp, "process", process):
        yield


def test_each_item_is_done_once_by_either() -> None:
    run = CountUp.enqueue()
    work_by_turns(run, partial(writing_down, "old"), partial(writing_down, "new"))
    assert faults(run) == []
    done = dict.fromkeys(("old", "new"), 0)
    for call in Call.objects.all():
        done[call.name] += 1
    assert min(done.values()) > 5


@contextmanager
def before_renaming() -> Iterator[type[CountUp]]:
    """Have the code in which the task bears its former name."""
    with ExitStack() as stack:
        stack.enter_context(registered())

        class Former(CountUp):
            app_label = "testapp"

        stack.enter_context(registered({"tests.Former": Former}))
        yield Former


def test_a_run_of_a_task_that_is_renamed_goes_on_under_both_names() -> None:
    with before_renaming() as former:
        run = former.enqueue()
    after_renaming = partial(renamed, CountUp, former="testapp.Former")
    work_by_turns(run, before_renaming, after_renaming)
    assert faults(run) == []
    assert run.attempts > 5


def test_without_the_alias_it_stops_and_says_what_to_do() -> None:
    with before_renaming() as former:
        run = former.enqueue()
    work_by_turns(run, before_renaming, registered)
    assert run.status == Status.ERRORED
    assert "There is no task 'testapp.Former'" in run.error_message
    assert "restart the workers and resume the run" in run.error_message
    assert 0 < run.done < 30
    with before_renaming():
        run.resume()
    work_by_turns(run, before_renaming)
    assert faults(run) == []


@contextmanager
def walking_by(*fields: str) -> Iterator[None]:
    """Have the code in which the task walks in another order."""
    with mock.patch.object(CountUp, "cursor_fields", fields):
        yield


def test_a_walk_in_another_order_stops_and_keeps_its_place() -> None:
    run = CountUp.enqueue()
    work_by_turns(run, partial(walking_by, "pk"), partial(walking_by, "name"))
    assert run.status == Status.ERRORED
    assert run.error_class == "upkeep.exceptions.CursorMismatch"
    assert run.done > 0
    run.resume()
    work_by_turns(run, partial(walking_by, "pk"))
    assert faults(run) == []
