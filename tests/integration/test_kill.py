"""A worker killed at any statement: nothing is lost, nothing is done twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.integration.harness import (
    Point,
    Tripwire,
    clear,
    die,
    exit_code,
    has_ended,
    points_of_unbroken_run,
    process,
    wait_until,
)
from tests.integration.kinds import KINDS, Kind
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks", "ledger_of_begun"),
]


def faults_when_killed(kind: Kind, point: Point) -> list[str]:
    """Return what is wrong with a run whose worker was killed at a point."""
    clear()
    run = kind.begin()
    with process(partial(kind.work, Tripwire(point.number, die))) as pid:
        is_killed = exit_code(pid) == -signal.SIGKILL
    with process(kind.rescue) as pid:
        wait_until(lambda: has_ended(pid))
    found = [] if is_killed else ["the worker never came there"]
    return [f"{point}: {fault}" for fault in [*found, *kind.faults(run)]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_effect_happens_once_wherever_the_worker_is_killed(
    items: list[Item],
    tmp_path: Path,
    every_point: bool,
    tell_tried: Callable[..., None],
    kind: Kind,
) -> None:
    begun = time.monotonic()
    points = points_of_unbroken_run(
        kind.begin(),
        tmp_path / "points",
        work=kind.work,
        faults_of=kind.faults_unbroken,
    )
    tried = points if every_point else points[:: kind.step]
    wrong = {point: faults_when_killed(kind, point) for point in tried}
    bad = [faults for faults in wrong.values() if faults]
    tell_tried(
        kind.name,
        tried=len(tried),
        points=len(points),
        bad=len(bad),
        seconds=time.monotonic() - begun,
    )
    assert bad == []
