"""A process that process() has forked is no second worker, however it ends."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.harness import faults
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Item
from upkeep import Handle
from upkeep.execution.forks import FELL_THROUGH
from upkeep.models import Run
from upkeep.tasks.base import Task

Known = Callable[[Any], Any]

MIDDLE = 7

pytestmark = pytest.mark.usefixtures("items", "still_clock")


def give_up() -> None:
    raise ValueError("of the child")


ENDS = {
    "sys.exit()": (sys.exit, 0),
    "sys.exit(3)": (lambda: sys.exit(3), 3),
    "an error": (give_up, 1),
    "nothing": (lambda: None, 1),
}


def fork(end: Callable[[], object], statuses: list[int]) -> None:
    """Fork a child that leaves process(), and wait for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        pid = os.fork()
    if pid:
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    else:
        end()


def advanced(task: type[Task]) -> Run:
    """Have a run of a task done here, and nowhere else."""
    parent = os.getpid()
    try:
        return task.run_now()
    finally:
        if os.getpid() != parent:
            os._exit(99)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("atomic", [True, False])
def test_it_does_no_item_of_its_parents(
    known: Known, capfd: pytest.CaptureFixture[str], atomic: bool, end: str
) -> None:
    leave, status = ENDS[end]
    statuses: list[int] = []
    in_transaction = atomic

    @known
    class Trial(CountUp):
        atomic = in_transaction

        def process(self, item: Item) -> None:
            super().process(item)
            if item.pk == MIDDLE:
                fork(leave, statuses)

    assert faults(advanced(Trial)) == []
    assert statuses == [status]
    told = {"an error": "of the child", "nothing": FELL_THROUGH}
    assert told.get(end, "") in capfd.readouterr().err


def test_nor_does_that_of_a_method_that_handles_an_item(known: Known) -> None:
    statuses: list[int] = []

    @known
    class Trial(CountUp):
        on_error = [Handle(ValueError, "handle")]

        def process(self, item: Item) -> None:
            if item.pk == MIDDLE:
                raise ValueError("No.")
            super().process(item)

        def handle(self, error: Exception, item: Item) -> None:
            super().process(item)
            fork(sys.exit, statuses)

    assert faults(advanced(Trial)) == []
    assert statuses == [0]
