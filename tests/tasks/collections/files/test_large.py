"""A large file costs no more memory than a small one, and no time to go on in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from tests.large import measured
from upkeep.tasks.collections.files import lines


@pytest.mark.alone
@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="by design: how a file is read is the same beside every database",
)
def test_50_mb_of_csv_run_in_flat_memory_and_go_on_at_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With newlines in the values, from enqueueing to the end, and near the end."""
    found = measured(tmp_path, megabytes=50)
    for name, value in found.items():
        record_property(name, value)
    assert found["total"] == found["rows"]
    assert found["grown_mb"] < 15
    assert found["resumed_bytes"] <= 3 * lines.BLOCK
    assert found["resumed_seconds"] < 0.2
