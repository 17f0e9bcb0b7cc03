"""Moments, durations and rates in words."""

from datetime import UTC, datetime, timedelta

import pytest

from upkeep.runs import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, said: str) -> None:
    assert words.duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [(52110.4, "52,110 a second"), (9.97, "10 a second"), (0.0213, "0.021 a second")],
)
def test_rates_have_as_many_digits_as_mean_something(rate: float, said: str) -> None:
    assert words.rate(rate) == said


def test_moments_are_in_the_time_zone_of_the_page() -> None:
    assert words.moment(datetime(2026, 7, 1, 12, tzinfo=UTC)) == "2026-07-01 14:00:00"
    assert words.moment(None) == ""


def test_of_one_there_is_one() -> None:
    assert [words.counted(number, "run") for number in (0, 1, 2, 1_000)] == [
        *("0 runs", "1 run", "2 runs", "1,000 runs"),
    ]
    assert words.counted(2, "call of a letter", "calls of letters") == (
        "2 calls of letters"
    )
