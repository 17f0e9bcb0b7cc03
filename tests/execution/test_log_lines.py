"""The log of a run has an end, and says where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from tests.execution.story import go_on, log_of, resume
from tests.testapp.clock import clock
from upkeep import Job, Task
from upkeep.conf import conf
from upkeep.databases import storable

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("still_clock"),
]

Known = Callable[[Any], Any]

MARK = "[The log is full: UPKEEP['LOG_LINES'] is 3. Lines from here on are dropped.]"


@pytest.fixture
def three_lines(settings: Settings) -> None:
    settings.UPKEEP = {"LOG_LINES": 3}


@pytest.fixture
def counts(known: Known) -> type[Task]:
    """Return a task that logs each number, in chunks of one."""

    @known
    class Counts(Task):
        broken = True

        def collection(self) -> Any:
            return range(1, 6)

        def process(self, number: int) -> None:
            self.log(f"Number {number}")
            clock.tick()
            if number == 2 and Counts.broken:
                raise ValueError("No.")

    return Counts


@pytest.mark.usefixtures("three_lines")
def test_a_mark_stands_where_lines_were_dropped(counts: Any) -> None:
    counts.broken = False
    assert log_of(counts.run_now()) == ["Number 1", "Number 2", "Number 3", MARK]


@pytest.mark.usefixtures("three_lines")
def test_what_was_logged_before_a_resume_counts(counts: Any) -> None:
    run = counts.run_now()
    counts.broken = False
    resume(run)
    assert log_of(run) == ["Number 1", "Number 2", "Number 2", MARK]


def test_without_a_limit_all_lines_are_kept(counts: Any, settings: Settings) -> None:
    settings.UPKEEP = {"LOG_LINES": None}
    counts.broken = False
    assert len(log_of(counts.run_now())) == 5


def test_no_more_is_held_in_memory_than_is_kept(known: Known) -> None:
    held: list[list[str]] = []

    @known
    class Chatters(Job):
        def perform(self) -> None:
            for number in range(conf.LOG_LINES or 0):
                self.log(f"{number}")
            for _ in range(1000):
                self.log("x" * 100_000)
            held.append(list(self.log_lines))

    run = go_on(Chatters.enqueue())
    assert len(held[0]) == 10_001 == len(log_of(run))


def test_a_line_that_is_too_long_is_not_held_as_it_is(known: Known) -> None:
    @known
    class Says(Job):
        app_label = "testapp"

    task = Says()
    task.log("x" * 100_000)
    assert task.log_lines == [storable("x" * 100_000)]
