"""An error or an item of which no letter can be made must not hang or repeat a run."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.harness import worker
from tests.testapp.models import Effect, Item
from upkeep import Job, Quarantine, Report, Task, dead_letters
from upkeep.dispatch.recovery import sweep
from upkeep.models import DeadLetter, Run

pytestmark = pytest.mark.usefixtures("items")


class Mute(Exception):
    """An error that cannot be written as text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@dead_letters.on(Mute)
def mute() -> None:
    raise Mute


def test_a_call_that_raises_it_is_kept_and_its_error_goes_on() -> None:
    with pytest.raises(Mute):
        mute()
    assert DeadLetter.objects.count() == 1


def test_a_rule_for_it_decides(known: Any) -> None:
    @known
    class Trial(Task):
        on_error = [Quarantine(Mute)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            Effect.objects.create(item=item.pk)
            if item.pk == 7:
                raise Mute

    run = Trial.run_now()
    assert (run.status, run.done, run.failed) == ("succeeded", 19, 1)


@pytest.mark.parametrize("rule", [Quarantine, Report])
def test_no_item_of_a_task_without_transactions_is_done_twice(
    known: Any, rule: Any
) -> None:
    @known
    class Trial(Task):
        atomic = False
        on_error = [rule(Mute)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            Effect.objects.create(item=item.pk)
            if item.pk == 7:
                raise Mute

    run = Trial.run_now()
    for _ in range(3):
        if run.status == "errored":
            run.resume()
            worker(batch=True, interval=0).run()
            run.refresh_from_db()
    times = Counter(Effect.objects.values_list("item", flat=True))
    assert max(times.values()) == 1, (run.status, run.done, run.reason, times)


def test_a_job_that_raises_it_is_over_some_day(known: Any) -> None:
    performed = []

    @known
    class Trial(Job):
        on_error = [Quarantine(Exception)]

        def perform(self) -> None:
            performed.append(1)
            raise Mute

    run = Trial.enqueue()
    for _ in range(12):
        worker(batch=True, interval=0).run()
        Run.objects.filter(status="running").update(
            lease_until=run.created_at - timedelta(days=1)
        )
        sweep(prune=False)
        run.refresh_from_db()
        if not run.is_active:
            break
    assert len(performed) <= 5, f"performed {len(performed)} times, {run.status}"
