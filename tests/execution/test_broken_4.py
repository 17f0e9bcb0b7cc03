"""Smaller things about retrials, budgets and the test kit."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import pytest

from tests.integration.harness import has_ended, process, wait_until
from tests.testapp.models import Item
from upkeep import Quarantine, Task
from upkeep.models import DeadLetter
from upkeep.testing import run_inline

pytestmark = pytest.mark.usefixtures("items")


@pytest.fixture
def trial(known: Any) -> Any:
    @known
    class T(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            if item.pk == 5:
                raise ValueError("x")

    return T


def test_a_letter_outlives_the_run_that_was_to_retry_it(trial: Any) -> None:
    run = trial.run_now()
    (retrial,) = run.dead_letters.all().retry()
    retrial.delete()  # by hand
    assert run.dead_letters.get().state == "open"


def test_stop_after_counts_items_that_are_undone_once(trial: Any) -> None:
    run = run_inline(trial, stop_after=6)
    assert run.done >= 6


def test_an_error_past_the_limit_says_so_once(known: Any) -> None:
    @known
    class T(Task):
        on_error = [Quarantine(ValueError, at_most=1)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            raise ValueError("x")

    assert T.run_now().traceback.count("allows no more") == 1


@pytest.mark.parametrize("rate", [1e-12, 5e-324])
def test_a_rate_is_refused_or_kept(known: Any, rate: float) -> None:
    @known
    class T(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            raise ValueError("x")

    run = T.run_now()
    (retrial,) = run.dead_letters.all().retry(rate=rate)

    def work() -> None:
        run_inline(retrial)

    with process(work) as pid:  # It spins for ever at 5e-324.
        assert wait_until(partial(has_ended, pid), timeout=8), "it spins"
    retrial.refresh_from_db()
    assert retrial.status == "interrupted", retrial.reason


def test_an_item_that_holds_itself_can_be_retried(known: Any) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    mended: list[bool] = []

    @known
    class T(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return [1, cycle, 2]

        def process(self, item: Any) -> None:
            if item is cycle and not mended:
                raise ValueError("x")

    run = T.run_now()
    (retrial,) = run.dead_letters.all().retry()
    mended.append(True)
    pid_ended = False
    with process(lambda: run_inline(retrial) and None) as pid:  # It eats all memory.
        pid_ended = wait_until(partial(has_ended, pid), timeout=8)
        if not pid_ended:
            os.kill(pid, signal.SIGKILL)
    assert pid_ended
    assert DeadLetter.objects.get().state == "resolved"
