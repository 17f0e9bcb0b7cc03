"""How far a run has come, in numbers and in words."""

from datetime import timedelta

import pytest
from django.utils import translation

from upkeep.runs.models import Run
from upkeep.runs.progress import Progress
from upkeep.runs.status import Status


def progress(done: int, total: int | None = None, seconds: float = 0) -> Progress:
    running = timedelta(seconds=seconds)
    return Progress(Run(done=done, total=total, time_running=running))


class TestFraction:
    @pytest.mark.parametrize(
        ("done", "total", "fraction"),
        [
            (0, None, None),
            (5, None, None),
            (0, 10, 0.0),
            (5, 10, 0.5),
            (10, 10, 1.0),
            (12, 10, 1.0),  # The total was counted at the first start.
            (0, 0, 1.0),
        ],
    )
    def test_is_from_0_to_1(
        self, done: int, total: int | None, fraction: float | None
    ) -> None:
        assert progress(done, total).fraction == fraction


class TestRate:
    @pytest.mark.parametrize(
        ("done", "seconds", "rate"), [(0, 5, None), (5, 0, None), (10, 4, 2.5)]
    )
    def test_is_items_a_second(
        self, done: int, seconds: float, rate: float | None
    ) -> None:
        assert progress(done, seconds=seconds).rate == rate


class TestTimeLeft:
    def test_goes_on_at_the_rate_so_far(self) -> None:
        assert progress(10, 40, seconds=5).time_left == timedelta(seconds=15)

    def test_is_never_below_zero(self) -> None:
        assert progress(50, 40, seconds=5).time_left == timedelta(0)

    @pytest.mark.parametrize(
        "unknown", [progress(10, None, 5), progress(0, 10, 5), progress(5, 10, 0)]
    )
    def test_is_none_where_nobody_can_know(self, unknown: Progress) -> None:
        assert unknown.time_left is None


class TestText:
    @pytest.mark.parametrize(
        ("one", "text"),
        [
            (progress(0), "0 items done"),
            (progress(1), "1 item done"),
            (progress(1234567), "1,234,567 items done"),
            (progress(250, 1000), "250 of 1,000 items (25 %)"),
            (progress(999_999, 1_000_000), "999,999 of 1,000,000 items (99 %)"),
            (progress(0, 0), "0 of 0 items (100 %)"),
        ],
    )
    def test_is_a_sentence(self, one: Progress, text: str) -> None:
        with translation.override("en"):
            assert one.text == text


@pytest.mark.parametrize("done", [90, 110])
def test_a_walk_that_came_to_its_end_was_as_long_as_it_was(done: int) -> None:
    run = Run(done=done, total=100, status=Status.SUCCEEDED)
    assert Progress(run).text == f"{done} items done"
    assert Progress(run).fraction is None
    assert Progress(run).reached == 1  # of 1: the bar is full.


def test_one_that_stopped_before_its_end_has_the_rest_before_it() -> None:
    run = Run(done=90, total=100, status=Status.CANCELLED)
    assert Progress(run).text == "90 of 100 items (90 %)"


def test_what_was_changed_is_told_where_a_task_declares_updates() -> None:
    run = Run(done=5, total=5, changed=3)
    assert Progress(run).text == "5 of 5 items (100 %), 3 changed"


def test_a_limit_to_the_rate_is_what_the_rest_takes_its_time_by() -> None:
    run = Run(done=10, total=50, rate=2, time_running=timedelta(seconds=0.1))
    assert Progress(run).rate == 2
    assert Progress(run).time_left == timedelta(seconds=20)
