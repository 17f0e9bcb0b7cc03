"""A run holds a page of its records at a time, however many and large they are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.integration.harness import fork
from tests.testapp.maintenance import ReadNotes
from tests.testapp.models import Note

GROWN = 15.0  # megabytes

NUMBERS = {
    "postgresql": "SELECT n FROM generate_series(1, {rows}) AS numbers(n)",
    "mysql": "SELECT seq AS n FROM seq_1_to_{rows}",
    "sqlite": (
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
        "WHERE n < {rows}) SELECT n FROM numbers"
    ),
}
TEXT = {
    "postgresql": "repeat('x', {size})",
    "mysql": "repeat('x', {size})",
    "sqlite": "replace(hex(zeroblob({size} / 2)), '0', 'x')",
}


@pytest.fixture
def notes(transactional_db: None) -> Iterator[Callable[[int, int], None]]:
    """Return what fills the table with so many rows of so many bytes."""
    with connection.schema_editor() as editor:
        editor.create_model(Note)

    def fill(rows: int, size: int) -> None:
        numbers = NUMBERS[connection.vendor].format(rows=rows)
        text = TEXT[connection.vendor].format(size=size)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO testapp_note (id, text) SELECT n, {text} "
                f"FROM ({numbers}) AS numbers"
            )

    yield fill
    with connection.schema_editor() as editor:
        editor.delete_model(Note)


@pytest.mark.parametrize(("rows", "size"), [(1_000_000, 150), (5_000, 20_000)])
def test_a_run_stays_within_15_mb_of_its_start(
    notes: Callable[[int, int], None],
    rows: int,
    size: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    notes(rows, size)
    grown = tmp_path / "grown"

    def work() -> None:
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # Forget the peak until now.
        run = ReadNotes.run_now()
        assert (run.status, run.done) == ("succeeded", rows)
        grown.write_text(str(memory("VmHWM") - before))

    _, status = os.waitpid(fork(work), 0)
    assert status == 0
    record_property("grown_mb", grown.read_text())
    assert float(grown.read_text()) < GROWN


def memory(name: str) -> float:
    """Return megabytes that the system counts for this process."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024
