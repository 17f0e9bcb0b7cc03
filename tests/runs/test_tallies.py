"""How many dead letters there are, as far as that is cheap to know."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.runs.stages import run_in
from upkeep.models import DeadLetter, Run
from upkeep.runs import tallies
from upkeep.runs.status import Status
from upkeep.runs.tallies import Tally, in_words, open_in, with_tally

pytestmark = pytest.mark.django_db


def run_with(**states: int) -> Run:
    run = run_in(Status.SUCCEEDED)
    for state, number in states.items():
        DeadLetter.objects.bulk_create(
            DeadLetter(run=run, state=state) for _ in range(number)
        )
    return run


def test_they_are_counted_by_state_alone_and_together_with_the_run() -> None:
    run_with(open=7)
    run = run_with(open=3, resolved=2)
    counts = {"open": 3, "retrying": 0, "resolved": 2, "discarded": 0}
    assert Tally.of(run.dead_letters.all()).as_json == counts
    found = Run.objects.annotate(**with_tally(run.pk)).get(pk=run.pk)
    assert Tally.told_by(found).as_json == counts
    assert list(Tally.told_by(found).lines) == [
        ("open", "Open", "3"),
        ("resolved", "Resolved", "2"),
    ]


def test_a_run_without_any_has_none() -> None:
    assert not Tally.of(run_with().dead_letters.all()).any


def test_nobody_counts_behind_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST", 2)
    run = run_with(open=5, resolved=2)
    tally = Tally.of(run.dead_letters.all())
    assert (tally.open, tally.as_json["resolved"]) == (3, 2)
    assert [count for _, _, count in tally.lines] == ["2+", "2"]
    assert open_in([run]) == {run.pk: 3}


def test_the_open_ones_of_several_runs_are_counted_at_once(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    runs = [run_with(open=number, discarded=1) for number in (2, 0, 4)]
    with django_assert_num_queries(1):
        assert open_in(runs) == {
            run.pk: count for run, count in zip(runs, (2, 0, 4), strict=True)
        }
    assert open_in([]) == {}


def test_a_count_is_said_in_words() -> None:
    assert [in_words(count) for count in (0, 9_999, 10_000, 10_001)] == [
        *("0", "9,999", "10,000", "10,000+"),
    ]
