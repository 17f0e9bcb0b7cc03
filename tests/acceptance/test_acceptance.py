"""The map is whole, and what it names is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

from tests.acceptance import (
    commands,
    features,
    pages,
    reactions,
    records,
    runs,
    tasks,
)
from tests.acceptance.keys import all_keys
from tests.acceptance.statements import State, Statement
from tests.inventory import TESTS, is_a_test

ROOT = TESTS.parent

MAP = [
    *commands.STATEMENTS,
    *tasks.STATEMENTS,
    *runs.STATEMENTS,
    *pages.STATEMENTS,
    *features.STATEMENTS,
    *reactions.STATEMENTS,
    *records.STATEMENTS,
]

# Change a number here only with the map. What is still to come can only become less.
COUNTS = {
    State.SHOWN: 267,
    State.BETTER: 82,
    State.DECIDED_OTHERWISE: 28,
    State.TO_COME: 16,
    State.NO_COUNTERPART: 15,
}

AREAS = {"downloads", "generator", "staleness"}

# What a line of each state has to say beside its law.
SAYS: dict[State, set[str]] = {
    State.SHOWN: {"tests"},
    State.BETTER: {"tests", "ours", "heading"},
    State.DECIDED_OTHERWISE: {"tests", "ours"},
    State.TO_COME: {"ours", "area"},
    State.NO_COUNTERPART: {"ours"},
}


def test_every_law_has_its_line_and_none_has_two() -> None:
    assert Counter(one.key for one in MAP) == Counter(all_keys())


def test_so_many_stand_in_each_state(
    record_property: Callable[[str, object], None],
) -> None:
    counts = Counter(one.state for one in MAP)
    for state in State:
        record_property(state, counts[state])
    print(*(f"{counts[state]} {state}" for state in State), sep=", ")
    assert counts == COUNTS


def test_what_is_still_to_come_belongs_to_an_area_that_is_known() -> None:
    assert {one.area for one in MAP if one.state is State.TO_COME} == AREAS


def test_a_line_says_what_its_state_asks_for() -> None:
    assert [one.key for one in MAP if said_by(one) != SAYS[one.state]] == []


def said_by(statement: Statement) -> set[str]:
    """Return what is said beside the law, without what need not be."""
    said = {
        name
        for name in ("tests", "ours", "heading", "area")
        if getattr(statement, name)
    }
    return said - {"tests"} if statement.state is State.TO_COME else said


def test_a_law_is_one_sentence_and_so_is_what_becomes_of_it() -> None:
    sentences = [text for one in MAP for text in (one.law, one.ours) if text]
    odd = [text for text in sentences if not re.fullmatch(r"[A-Z`].{10,150}\.", text)]
    assert odd == []


def test_a_test_that_is_named_is_there() -> None:
    named = {name for one in MAP for name in one.tests}
    assert {name for name in named if not is_a_test(name)} == set()


def test_a_heading_that_is_named_is_there() -> None:
    named = {one.heading for one in MAP if one.heading}
    assert {name for name in named if not is_a_heading(name)} == set()


def is_a_heading(name: str) -> bool:
    path, _, heading = name.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8")
    return heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)


HERE = "acceptance/test_acceptance.py"


class TestWhatIsNotThere:
    """A test that cannot fail shows nothing."""

    @pytest.mark.parametrize(
        "name", ["test_nothing", "TestNothing::test_is_found_out", "test_is_found_out"]
    )
    def test_is_found_out(self, name: str) -> None:
        assert not is_a_test(f"{HERE}::{name}")
        assert is_a_test(f"{HERE}::TestWhatIsNotThere::test_is_found_out")

    def test_is_no_heading(self) -> None:
        assert not is_a_heading("docs/reference.md#Run")
        assert is_a_heading("docs/reference.md#Runs")
