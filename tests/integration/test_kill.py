"""A worker killed at any statement: nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.integration.harness import (
    Tripwire,
    clear,
    die,
    faults,
    has_ended,
    points_of_unbroken_run,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.testapp.maintenance import CountUpInChunks, CountUpWithRules
from tests.testapp.models import Effect, Item
from upkeep import Task
from upkeep.models import DeadLetter, Run
from upkeep.runs.status import Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks"),
]


# Of a task whose items fail so many points are passed over: it has several hundred.
STEP = 17


def faults_with_rules(run: Run) -> list[str]:
    """Return what is wrong with a run some of whose items fail, and are dealt with."""
    run.refresh_from_db()
    counts = {"done": run.done, "failed": run.failed, "skipped": run.skipped}
    found = [] if run.status == Status.SUCCEEDED else [f"{run.status}: {run.reason}"]
    if counts != {"done": 27, "failed": 1, "skipped": 2}:
        found.append(f"the run counts {counts}")
    if (effects := Counter(Effect.objects.values_list("item", flat=True))) != Counter(
        set(range(1, 31)) - {5, 13, 20}
    ):
        found.append(f"the ledger has {effects}")
    letters = list(DeadLetter.objects.values_list("run", "item"))
    if letters != [(run.pk, "testapp.Item 5")]:
        found.append(f"the dead letters are {letters}")
    return found


@pytest.mark.parametrize(
    ("task", "faults_of", "step"),
    [(CountUpInChunks, faults, 1), (CountUpWithRules, faults_with_rules, STEP)],
    ids=["all go well", "some fail"],
)
def test_each_effect_happens_once_wherever_the_worker_is_killed(
    items: list[Item],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    database_name: str,
    task: type[Task],
    faults_of: Callable[[Run], list[str]],
    step: int,
) -> None:
    points = points_of_unbroken_run(
        task.enqueue(), tmp_path / "points", faults_of=faults_of
    )
    wrong, tried = [], points[::step]
    for point in tried:
        clear()
        run = task.enqueue()
        worker = partial(work_off_queue, Tripwire(point.number, die))
        with process(worker) as pid:
            assert wait_until(lambda: has_ended(pid))
        with process(rescue) as pid:
            wait_until(lambda: has_ended(pid))
        wrong += [f"{point}: {fault}" for fault in faults_of(run)]
    with capsys.disabled():
        print(
            f"\nkilled {task.__name__} at {len(tried)} of {len(points)} points on "
            f"{database_name}: {len(wrong)} bad"
        )
    assert wrong == []
