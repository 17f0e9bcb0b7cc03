"""How many items a second a run may work on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.testapp.clock import clock
from upkeep.execution.rate import Rate

pytestmark = pytest.mark.usefixtures("still_clock")


def test_without_one_nothing_is_held() -> None:
    rate = Rate(None)
    rate.worked_on(1_000_000, since=clock())
    assert rate.most(0.1) > 1_000_000
    assert rate.hold() is None


@pytest.mark.parametrize(
    ("per_second", "seconds", "most"),
    [(100, 0.5, 50), (3, 0.5, 2), (0.01, 0.5, 1), (1e30, 0.5, 2**63 - 1)],
)
def test_a_chunk_has_as_many_items_as_are_due_in_it_and_one_at_least(
    per_second: float, seconds: float, most: int
) -> None:
    assert Rate(per_second).most(seconds) == most


def test_the_next_item_waits_for_the_rest_of_the_time() -> None:
    rate, begun = Rate(2), clock()
    clock.sleep(1)
    rate.worked_on(5, since=begun)
    hold = rate.hold()
    assert hold is not None
    assert (hold.by, hold.wait) == ("rate", timedelta(seconds=1.5))
    assert hold.reason == "At most 2 items a second."
    clock.sleep(1.5)
    assert rate.hold() is None


def test_time_that_nobody_used_is_not_made_up_for() -> None:
    rate = Rate(1)
    rate.worked_on(1, since=clock())
    clock.sleep(100)
    rate.worked_on(3, since=clock())
    hold = rate.hold()
    assert hold is not None
    assert hold.wait == timedelta(seconds=3)
