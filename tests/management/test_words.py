"""Numbers and times in the words of the command line."""

from datetime import timedelta

from upkeep.management import words
from upkeep.models import Run


def test_where_a_run_is_with_a_total() -> None:
    run = Run(status="running", done=50, total=200, time_running=timedelta(seconds=5))
    assert words.where(run) == "50 of 200 items (25 %), 10 a second, 15 s left"
    assert words.where_shortly(run) == "50 of 200  25 %  10/s  15 s left"


def test_where_a_run_is_without_a_total() -> None:
    run = Run(status="running", done=1, time_running=timedelta(seconds=5))
    assert words.where(run) == "1 item done, 0.2 a second"
    assert words.where_shortly(run) == "1  0.2/s"


def test_nothing_is_left_of_a_run_that_is_over() -> None:
    run = Run(status="errored", done=1, total=2, time_running=timedelta(seconds=5))
    assert "left" not in words.where(run) + words.where_shortly(run)
