"""A worker that waits with a run in hand listens meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.testapp.clock import clock
from upkeep.execution.waiting import wait

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.7, 3])
def test_it_lasts_as_long_as_it_is_told(seconds: float) -> None:
    begun = clock()
    assert wait(timedelta(seconds=seconds), stop=lambda: False) is False
    assert clock() - begun == pytest.approx(seconds)


def test_it_ends_where_somebody_wants_it_to() -> None:
    begun = clock()
    assert wait(timedelta(hours=1), stop=lambda: clock() - begun >= 2) is True
    assert clock() - begun == 2


def test_of_no_time_it_asks_nobody() -> None:
    assert wait(timedelta(seconds=-1), stop=lambda: 1 / 0 > 0) is False
