"""A worker killed behind its last commit: the next one calls the hooks it owed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.execution.story import log_of
from tests.integration.harness import (
    Point,
    Tripwire,
    clear,
    die,
    faults,
    has_ended,
    points_of_unbroken_run,
    process,
    rescue,
    tell_what_is_left,
    wait_until,
    work_off_queue,
)
from tests.testapp.maintenance import CountUpAndTell
from tests.testapp.models import Item
from upkeep.dispatch import recovery
from upkeep.models import Run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks"),
]


NOTED = "after INSERT INTO upkeep_event"


def rescue_and_tell() -> None:
    """Be a watcher and a worker until no run is active and nothing is left to tell."""
    rescue()
    tell_what_is_left()


def untold(run: Run) -> list[str]:
    """Return the hooks that were never called."""
    told = log_of(run)
    return [hook for hook in ("after_start", "after_complete") if hook not in told]


def around_moves(points: list[Point]) -> list[Point]:
    """Return the points at which a move is noted, committed, or told."""
    return [
        point
        for point in points
        if "upkeep_event" in point.name or point.name.endswith("_commit")
    ]


def faults_when_killed(points: list[Point]) -> list[str]:
    """Return what is wrong after a worker was killed at each of the points."""
    wrong = []
    for point in points:
        clear()
        run = CountUpAndTell.enqueue()
        worker = partial(work_off_queue, Tripwire(point.number, die))
        with process(worker) as pid:
            assert wait_until(lambda: has_ended(pid))
        with process(rescue_and_tell) as pid:
            wait_until(lambda: has_ended(pid))
        wrong += [f"{point}: {fault}" for fault in [*faults(run), *untold(run)]]
    return wrong


def test_each_hook_is_called_wherever_the_worker_is_killed(
    items: list[Item],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    database_name: str,
) -> None:
    run = CountUpAndTell.enqueue()
    points = around_moves(points_of_unbroken_run(run, tmp_path / "points"))
    assert sorted(log_of(run)) == ["after_complete", "after_start"]  # Not twice.
    wrong = faults_when_killed(points)
    with capsys.disabled():
        print(f"\nkilled at {len(points)} points on {database_name}: {len(wrong)} bad")
    assert wrong == []


def test_without_the_sweep_of_moves_a_hook_is_lost(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = points_of_unbroken_run(CountUpAndTell.enqueue(), tmp_path / "points")
    monkeypatch.setattr(recovery, "announce_what_is_left", int)
    *_, last_move, _line = [each for each in points if each.name.startswith(NOTED)]
    behind = [point for point in around_moves(points) if point > last_move]
    lost = [fault for fault in faults_when_killed(behind) if "after_complete" in fault]
    assert len(lost) >= 3  # Committed, before the move is taken, and behind that.
