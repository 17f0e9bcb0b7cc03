"""`upkeep letters`, `retry` and `discard` see to dead letters."""

from __future__ import annotations

import getpass
import json
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from tests.management.commands import upkeep
from tests.management.conftest import Start
from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUp
from upkeep.management.verbs import retry
from upkeep.models import DeadLetter, Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db

CALL = "tests.testapp.calls.charge"


@pytest.fixture
def run() -> Run:
    """Return a run with three dead letters of two causes."""
    run = run_in(Status.SUCCEEDED)
    give(run, "item 1", "aa" * 32)
    give(run, "item 2", "aa" * 32)
    give(run, "item 3", "ab" * 32)
    return run


def give(run: Run | None, item: str, cause: str = "", **fields: Any) -> DeadLetter:
    return DeadLetter.objects.create(
        run=run,
        item=item,
        fingerprint=cause,
        error_class="builtins.KeyError",
        error_message="'currency'",
        **fields,
    )


def call(order: int = 7, cause: str = "", **fields: Any) -> DeadLetter:
    payload = {"args": [order], "kwargs": {}}
    return give(None, f"charge({order})", cause, call=CALL, payload=payload, **fields)


def states(run: Run | None) -> list[str]:
    letters = DeadLetter.objects.filter(run=run).order_by("pk")
    return list(letters.values_list("state", flat=True))


class TestLetters:
    def test_of_a_run_are_lines_in_a_pipe(self, run: Run) -> None:
        header, *lines = upkeep("letters", run.pk).out.splitlines()
        columns = ["LETTER", "STATE", "CAUSE", "ATTEMPTS", "OWNER", "ITEM", "ERROR"]
        assert header.split() == columns
        last = run.dead_letters.latest("pk")
        assert lines[0].split()[:4] == [str(last.pk), "open", "ab" * 6, "1"]
        assert lines[0].endswith("item 3  builtins.KeyError: 'currency'")
        assert len(lines) == 3

    def test_of_a_cause_are_found_by_its_first_digits(self, run: Run) -> None:
        outcome = upkeep("letters", run.pk, "--cause", "aa", "--json")
        items = [each["item"] for each in json.loads(outcome.out)]
        assert items == ["item 2", "item 1"]

    def test_of_a_state_are_no_others(self, run: Run) -> None:
        upkeep("discard", run.pk, "--cause", "ab", "--reason", "Old.")
        out = upkeep("letters", run.pk, "--state", "discarded", "--json").out
        (letter,) = json.loads(out)
        assert (letter["item"], letter["note"]) == ("item 3", "Old.")
        assert "invalid choice" in upkeep("letters", run.pk, "--state", "lost").err

    def test_are_no_more_than_asked_for(self, run: Run) -> None:
        *table, more = upkeep("letters", run.pk, "--limit", 1).out.splitlines()
        assert (len(table), more) == (2, "There are more: --limit 0 lists all of them.")
        assert len(upkeep("letters", run.pk, "--limit", 0).out.splitlines()) == 4
        assert "is no number" in upkeep("letters", run.pk, "--limit=-1").err

    def test_of_all_runs_and_functions_are_counted(self, run: Run) -> None:
        call()
        _, *lines = upkeep("letters").out.splitlines()
        assert [line.split() for line in lines] == [
            [str(run.pk), "testapp.Numbers", "3"],
            [CALL, "1"],
        ]
        assert json.loads(upkeep("letters", "--json").out) == [
            {"run": run.pk, "of": "testapp.Numbers", "open": 3},
            {"run": None, "of": CALL, "open": 1},
        ]

    def test_are_counted_by_cause(self, run: Run) -> None:
        upkeep("discard", run.pk, "--cause", "ab", "--reason", "Old.")
        newest = give(run, "item 4", "cc" * 32)
        give(run, "item 5", "aa" * 32)
        header, *lines = upkeep("letters", run.pk, "--by-cause").out.splitlines()
        assert header.split() == ["CAUSE", "OPEN", "NEWEST", "LETTER", "ERROR"]
        assert [line.split()[:2] for line in lines] == [
            ["aa" * 6, "3"],
            ["cc" * 6, "1"],
        ]
        assert lines[1].split()[-3:] == [
            *(str(newest.pk), "builtins.KeyError:", "'currency'"),
        ]
        out = upkeep("letters", run.pk, "--by-cause", "--state", "discarded").out
        assert out.split()[1] == "DISCARDED"
        assert out.splitlines()[1].split()[:2] == ["ab" * 6, "1"]

    def test_are_counted_by_cause_for_a_program(self, run: Run) -> None:
        first, _ = json.loads(upkeep("letters", run.pk, "--by-cause", "--json").out)
        newest = run.dead_letters.filter(fingerprint="aa" * 32).latest("pk")
        assert first == {
            "fingerprint": "aa" * 32,
            "count": 2,
            "error_class": "builtins.KeyError",
            "error_message": "'currency'",
            "newest": newest.pk,
            "newest_at": newest.created_at.isoformat(),
        }
        digits = first["fingerprint"][:6]
        out = upkeep("letters", run.pk, "--cause", digits, "--json").out
        assert len(json.loads(out)) == 2

    def test_are_counted_by_cause_of_a_function(self) -> None:
        for order in (7, 8):
            call(order, cause="dd" * 32)
        _, line = upkeep("letters", "--calls", CALL, "--by-cause").out.splitlines()
        assert line.split()[:2] == ["dd" * 6, "2"]

    def test_of_many_causes_are_the_most_frequent(
        self, run: Run, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for digit in "0123456789":
            give(run, "item", f"e{digit}" * 32)
        with django_assert_num_queries(3):  # the run, the counts, the newest
            outcome = upkeep("letters", run.pk, "--by-cause", "--limit", 1)
        _, line, more = outcome.out.splitlines()
        assert line.startswith("aa" * 6)
        assert more == "There are more: --limit 0 lists all of them."
        outcome = upkeep("letters", run.pk, "--by-cause", "--limit", 0)
        assert len(outcome.out.splitlines()) == 13
        assert (
            "no such dead"
            in upkeep(*("letters", run.pk, "--by-cause", "--state", "resolved")).out
        )

    @pytest.mark.parametrize(
        "words", [["letters"], ["retry"], ["discard", "--reason", "Old."]]
    )
    def test_of_a_cause_that_is_none_are_wrong_usage(
        self, run: Run, words: list[str]
    ) -> None:
        outcome = upkeep(*words, run.pk, "--cause", "currency")
        assert outcome.status == 2
        assert "has a cause that begins with 'currency'" in outcome.err
        assert f"upkeep letters {run.pk} --by-cause" in outcome.err
        assert states(run) == ["open"] * 3

    @pytest.mark.parametrize(
        "words", [["--cause", "aa"], ["--state", "open"], ["--by-cause"]]
    )
    def test_of_no_run_are_wrong_usage_where_some_are_asked_for(
        self, run: Run, words: list[str]
    ) -> None:
        outcome = upkeep("letters", *words)
        assert outcome.status == 2
        assert "Say of which run" in outcome.err

    def test_that_are_not_there_are_said(self) -> None:
        assert "no dead letters that are open" in upkeep("letters").out
        run = run_in(Status.SUCCEEDED)
        assert "no such dead letters" in upkeep("letters", run.pk).out
        assert json.loads(upkeep("letters", run.pk, "--json").out) == []

    def test_of_nothing_known_are_wrong_usage(self) -> None:
        assert upkeep("letters", 99).status == 2
        assert upkeep("letters", "--calls", "nowhere.nothing").status == 2


class TestRetry:
    def test_of_all_is_a_run(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getpass, "getuser", lambda: "ada")
        outcome = upkeep("retry", run.pk, "--rate", "2.5")
        child = Run.objects.get(parent=run)
        assert (outcome.status, child.total, child.rate) == (0, 3, 2.5)
        assert f"Run {child.pk} of testapp.Numbers enqueued." in outcome.out
        assert f"status {child.pk} --follow" in outcome.out
        note = run.events.get(kind="note")
        assert (note.actor, note.source) == ("ada", "command")

    def test_of_some_leaves_the_others(self, run: Run) -> None:
        first, _, last = run.dead_letters.order_by("pk")
        upkeep("retry", run.pk, first.pk, last.pk)
        assert states(run) == ["retrying", "open", "retrying"]

    def test_of_a_cause_leaves_the_others(self, run: Run) -> None:
        upkeep("retry", run.pk, "--cause", "ab")
        assert states(run) == ["open", "open", "retrying"]

    def test_of_another_runs_letter_is_wrong_usage(self, run: Run) -> None:
        other = give(run_in(Status.SUCCEEDED), "item 9")
        first = run.dead_letters.earliest("pk")
        outcome = upkeep("retry", run.pk, first.pk, other.pk)
        assert outcome.status == 2
        assert f"{other.pk}: there is no such dead letter" in outcome.err
        assert states(run) == ["open"] * 3

    def test_of_what_is_not_open_fails(self, run: Run) -> None:
        upkeep("retry", run.pk)
        outcome = upkeep("retry", run.pk)
        assert outcome.status == 1
        assert "None of these dead letters is open" in outcome.err

    def test_at_no_rate_is_wrong_usage(self, run: Run) -> None:
        assert upkeep("retry", run.pk, "--rate", "0").status == 2
        assert "invalid float" in upkeep("retry", run.pk, "--rate", "fast").err

    def test_that_the_queue_refuses_is_refused(
        self, run: Run, settings: Settings
    ) -> None:
        settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": ["other"]}}
        assert upkeep("retry", run.pk).status == 3
        assert states(run) == ["open"] * 3

    def test_of_a_task_that_is_gone_is_wrong_usage(self, run: Run) -> None:
        Run.objects.update(task="testapp.Gone")
        assert upkeep("retry", run.pk).status == 2

    def test_of_nothing_is_wrong_usage(self) -> None:
        outcome = upkeep("retry")
        assert outcome.status == 2
        assert "--calls FUNCTION" in outcome.err


class TestCalls:
    def test_are_made_again(self) -> None:
        letters = [call(7), call(8)]
        outcome = upkeep("retry", "--calls", CALL, letters[0].pk)
        assert outcome.out == "1 call is made again.\n"
        assert states(None) == ["retrying", "open"]

    def test_that_cannot_be_made_again_fail(self) -> None:
        call(obstacle="Its argument card is masked.")
        outcome = upkeep("retry", "--calls", CALL)
        assert outcome.status == 1
        assert "is masked" in outcome.err

    def test_that_cannot_be_made_again_are_named_with_what_stands_in_the_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "NAMED", 2)
        call(7)
        masked = [call(n, obstacle="Its argument card is masked.").pk for n in range(3)]
        unknown = call(8, obstacle="Its argument order was not kept.").pk
        outcome = upkeep("retry", "--calls", CALL)
        assert (outcome.status, outcome.out.splitlines()) == (
            0,
            [
                "1 call is made again.",
                "4 calls cannot be made again; the dead letters stay open:",
                f"  {masked[0]}, {masked[1]} and 1 more: Its argument card is masked.",
                f"  {unknown}: Its argument order was not kept.",
                "Make such a call yourself, and discard its letter.",
            ],
        )
        assert states(None) == ["retrying", *["open"] * 4]

    def test_of_a_function_that_is_gone_are_named(self) -> None:
        path = "tests.testapp.calls.gone"
        first, second = (DeadLetter.objects.create(call=path) for _ in range(2))
        outcome = upkeep("retry", "--calls", path)
        assert outcome.status == 1
        assert "2 calls cannot be made again" in outcome.err
        assert f"  {first.pk}, {second.pk}: {path} is not there" in outcome.err

    def test_that_others_have_seen_to_are_none(self) -> None:
        call(state="discarded")
        outcome = upkeep("retry", "--calls", CALL)
        assert outcome.status == 1
        assert "None of these dead letters is open" in outcome.err

    def test_have_no_rate(self) -> None:
        call()
        outcome = upkeep("retry", "--calls", CALL, "--rate", "2")
        assert outcome.status == 2
        assert "leave --rate out" in outcome.err
        assert states(None) == ["open"]

    def test_have_no_run_to_follow(self) -> None:
        call()
        assert upkeep("retry", "--calls", CALL, "--follow").status == 2
        assert states(None) == ["open"]

    def test_are_given_up(self) -> None:
        call()
        outcome = upkeep("discard", "--calls", CALL, "--reason", "Old.")
        assert outcome.out == "1 dead letter discarded.\n"


class TestDiscard:
    def test_says_how_many_and_why(self, run: Run) -> None:
        outcome = upkeep("discard", run.pk, "--cause", "aa", "--reason", "Old.")
        assert (outcome.status, outcome.out) == (0, "2 dead letters discarded.\n")
        assert states(run) == ["discarded", "discarded", "open"]

    def test_needs_a_reason(self, run: Run) -> None:
        assert "--reason" in upkeep("discard", run.pk).err
        assert upkeep("discard", run.pk, "--reason", " ").status == 2
        assert states(run) == ["open"] * 3

    def test_of_what_is_not_open_fails(self, run: Run) -> None:
        upkeep("discard", run.pk, "--reason", "Old.")
        assert upkeep("discard", run.pk, "--reason", "Older.").status == 1


@pytest.mark.django_db(transaction=True)
def test_a_retrial_can_be_followed_to_its_end(start: Start, worker: Any) -> None:
    run = run_in(Status.SUCCEEDED, CountUp)
    give(run, "gone", payload={"$model": "testapp.item", "pk": 10**6})
    process = start("retry", run.pk, "--follow")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "succeeded" in out
    assert states(run) == ["resolved"]
