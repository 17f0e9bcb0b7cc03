"""A worker killed at any statement: nothing is lost, nothing is done twice."""

from __future__ import annotations

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
from tests.testapp.maintenance import CountUpInChunks
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks"),
]


def test_each_effect_happens_once_wherever_the_worker_is_killed(
    items: list[Item],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    database_name: str,
) -> None:
    points = points_of_unbroken_run(CountUpInChunks.enqueue(), tmp_path / "points")
    wrong = []
    for point in points:
        clear()
        run = CountUpInChunks.enqueue()
        worker = partial(work_off_queue, Tripwire(point.number, die))
        with process(worker) as pid:
            assert wait_until(lambda: has_ended(pid))
        with process(rescue) as pid:
            wait_until(lambda: has_ended(pid))
        wrong += [f"{point}: {fault}" for fault in faults(run)]
    with capsys.disabled():
        print(f"\nkilled at {len(points)} points on {database_name}: {len(wrong)} bad")
    assert wrong == []
