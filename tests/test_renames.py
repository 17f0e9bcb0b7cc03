"""
A task that bears another name than before keeps its runs, wherever one meets them.

What a page shows of them is tested beside the pages: tests/web and tests/test_admin.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.management.commands import upkeep
from tests.registering import renamed
from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUp, CountUpTo
from tests.testapp.models import Item
from upkeep.dispatch.enqueue import advance_here
from upkeep.exceptions import AlreadyActive
from upkeep.runs import slots
from upkeep.runs.models import Run
from upkeep.runs.status import ACTIVE, ENDED, Status

pytestmark = pytest.mark.django_db

FORMER = "testapp.Former"


@pytest.fixture(autouse=True)
def now_renamed() -> Iterator[None]:
    """Have two tasks of which each had another name before."""
    with renamed(CountUp, former=FORMER), renamed(CountUpTo, former="testapp.UpTo"):
        yield


def of_old(status: Status) -> Run:
    """Return a run that came into a status while its task had its former name."""
    run = run_in(status, CountUp)
    if run.active_key:
        (key,) = slots._keys(run)
        Run.objects.filter(pk=run.pk).update(active_key=key[1])
    Run.objects.filter(pk=run.pk).update(task=FORMER)
    run.refresh_from_db()
    return run


class TestConcurrency:
    @pytest.mark.parametrize("status", sorted(ACTIVE))
    def test_counts_an_active_run_of_the_former_name(self, status: Status) -> None:
        run = of_old(status)
        with pytest.raises(AlreadyActive, match=f"run {run.pk} of .*is {status}"):
            CountUp.enqueue()

    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_lets_in_where_the_run_of_the_former_name_is_over(
        self, status: Status
    ) -> None:
        of_old(status)
        CountUp.enqueue()

    def test_of_several_is_that_of_both_names_together(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(CountUpTo, "concurrency", 3)
        old = [CountUpTo.enqueue(up_to=n) for n in (1, 2)]
        for run, keys in zip(old, slots._keys(old[0]), strict=False):
            Run.objects.filter(pk=run.pk).update(
                task="testapp.UpTo", active_key=keys[1]
            )
        CountUpTo.enqueue(up_to=3)
        with pytest.raises(AlreadyActive, match="3 runs of"):
            CountUpTo.enqueue(up_to=4)
        Run.objects.get(pk=old[0].pk).cancel()
        CountUpTo.enqueue(up_to=4)

    def test_keeps_who_resumes_from_taking_a_slot_twice(self) -> None:
        errored = of_old(Status.ERRORED)
        active = of_old(Status.PAUSED)
        with pytest.raises(AlreadyActive, match=f"run {active.pk} of"):
            errored.resume()
        active.cancel()
        errored.resume()
        with pytest.raises(AlreadyActive):
            CountUp.enqueue()


class TestResume:
    @pytest.mark.parametrize("status", [Status.PAUSED, Status.ERRORED])
    def test_goes_on_with_the_class_of_the_new_name(self, status: Status) -> None:
        Item.objects.bulk_create([Item(), Item()])
        run = of_old(status)
        run.resume()
        assert advance_here(run).status == Status.SUCCEEDED
        assert set(Item.objects.values_list("n", flat=True)) == {1}


class TestCommandLine:
    def test_finds_the_task_by_either_name(self) -> None:
        of_old(Status.SUCCEEDED)
        assert upkeep("list", FORMER).out == upkeep("list", "testapp.CountUp").out
        assert upkeep("run", FORMER).status == 0
        assert Run.objects.latest("pk").task == "testapp.CountUp"

    @pytest.mark.parametrize(
        "words", [["pause"], ["cancel"], ["status"], ["status", "--json"], ["log"]]
    )
    def test_takes_a_run_of_the_former_name(self, words: list[str]) -> None:
        outcome = upkeep(*words, of_old(Status.ENQUEUED).pk)
        assert outcome.status == 0, outcome

    def test_calls_a_run_by_the_name_of_today(self) -> None:
        run = of_old(Status.ENQUEUED)
        assert "of testapp.CountUp" in upkeep("pause", run.pk).out
        assert "testapp.CountUp" in upkeep("status").out
        assert FORMER not in upkeep("status").out

    def test_tells_what_is_active_already(self) -> None:
        of_old(Status.PAUSED)
        outcome = upkeep("run", "testapp.CountUp")
        assert outcome.status == 3
        assert "is paused. Resume it, or cancel it." in outcome.err
