"""A total that is only estimated is told as one, and exact in the end."""

from typing import Any

import pytest

from tests.testapp.models import Item
from upkeep import Task
from upkeep.management.words import where_shortly
from upkeep.runs.facts import facts
from upkeep.runs.progress import Progress
from upkeep.tasks.collections.sizes import Estimate
from upkeep.testing import run_inline

pytestmark = pytest.mark.usefixtures("items")  # Twenty.


@pytest.fixture
def guessing(known: Any) -> type[Task]:
    @known
    class Guessing(Task):
        guess = 30

        def collection(self) -> Any:
            return Item.objects.all()

        def count(self) -> int:
            return Estimate(self.guess)

        def process(self, item: Item) -> None:
            """Do nothing."""

    found: type[Task] = Guessing
    return found


def test_it_is_told_as_one(guessing: type[Task]) -> None:
    run = run_inline(guessing, stop_after=6)
    assert run.is_total_estimated
    assert Progress(run).text == "6 of about 30 items (20 %)"
    assert where_shortly(run).startswith("6 of about 30  20 %")
    assert facts(run)["is_total_estimated"] is True


def test_it_tells_no_digits_that_nobody_knows(guessing: type[Task]) -> None:
    guessing.guess = 9_406_118  # type: ignore[attr-defined]  # of the class above
    run = run_inline(guessing, stop_after=6)
    assert Progress(run).text == "6 of about 9,400,000 items (0 %)"


def test_it_is_exact_in_the_end(guessing: type[Task]) -> None:
    run = run_inline(run_inline(guessing, stop_after=6))
    run.refresh_from_db()
    assert (run.total, run.is_total_estimated) == (20, False)
    assert Progress(run).text == "20 of 20 items (100 %)"


def test_one_that_was_too_small_is_told_no_more(guessing: type[Task]) -> None:
    guessing.guess = 5  # type: ignore[attr-defined]  # of the class above
    run = run_inline(guessing, stop_after=6)
    assert Progress(run).text == "6 items done"
    assert Progress(run).time_left is None
    assert run_inline(run).total == 20


def test_a_number_that_a_task_counts_is_believed(guessing: type[Task]) -> None:
    guessing.count = lambda self: 40  # type: ignore[method-assign]
    run = guessing.run_now()
    assert (run.total, run.is_total_estimated) == (40, False)
