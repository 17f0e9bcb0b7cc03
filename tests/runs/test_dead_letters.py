"""Dead letters: retried and discarded, one by one, by filter or all."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.dispatch.queue import messages
from tests.runs.stages import claim, run_in
from tests.testapp import calls as bank
from tests.testapp.maintenance import CountUp, Numbers
from upkeep.dispatch import messages as dispatch
from upkeep.exceptions import (
    AlreadyActive,
    InvalidCall,
    InvalidParameters,
    NoOpenLetters,
    QueueRefused,
    TaskNotFound,
)
from upkeep.models import DeadLetter, Event, Run
from upkeep.runs import handling
from upkeep.runs.dead_letters import DeadLetterQuerySet
from upkeep.runs.status import ENDED, Status
from upkeep.tasks.base import Task

State = DeadLetter.State


def letters_of(run: Run, number: int = 3, **fields: Any) -> list[DeadLetter]:
    """Give a run so many dead letters."""
    return [
        run.dead_letters.create(item=f"item {place}", error_class="x", **fields)
        for place in range(number)
    ]


def run_with_letters(number: int = 3, task: type[Task] = Numbers, **fields: Any) -> Run:
    run = run_in(Status.SUCCEEDED, task)
    letters_of(run, number, **fields)
    return run


def states(run: Run) -> list[str]:
    return list(run.dead_letters.order_by("pk").values_list("state", flat=True))


def notes(run: Run) -> list[tuple[str, str]]:
    events = run.events.filter(kind=Event.Kind.NOTE)
    return list(events.values_list("actor", "text"))


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create(username="ada")


@pytest.mark.django_db
class TestRetry:
    def test_all_of_a_run_is_one_run_of_the_same_task(self, ada: User) -> None:
        order = Numbers.using(queue="default", metadata={"why": "spring"})
        parent = order.enqueue()
        letters_of(parent)
        before = len(messages())
        (run,) = parent.dead_letters.retry(by=ada, rate=2.5)
        assert (run.task, run.parent, run.rate) == (parent.task, parent, 2.5)
        assert (run.total, run.unit, run.status) == (3, "item", Status.ENQUEUED)
        assert (run.parameters, run.metadata) == (parent.parameters, parent.metadata)
        assert (run.requested_by, run.queue) == (ada, "default")
        assert states(parent) == [State.RETRYING] * 3
        assert run.letters_in_hand.count() == 3
        assert len(messages()) == before + 1

    def test_is_told_in_the_story_of_both(self, ada: User) -> None:
        parent = run_with_letters()
        (run,) = parent.dead_letters.retry(by=ada)
        assert notes(parent) == [("ada", f"3 dead letters retried as run {run.pk}.")]
        move = run.events.get()
        assert (move.status, move.actor) == (Status.ENQUEUED, "ada")
        assert move.text == f"It retries dead letters of run {parent.pk}."

    def test_of_a_filter_leaves_the_others(self) -> None:
        parent = run_with_letters()
        (run,) = parent.dead_letters.filter(item="item 1").retry()
        assert states(parent) == [State.OPEN, State.RETRYING, State.OPEN]
        assert run.total == 1

    def test_of_some_that_a_slice_names(self) -> None:
        parent = run_with_letters()
        parent.dead_letters.order_by("-pk")[:2].retry()
        assert states(parent) == [State.OPEN, State.RETRYING, State.RETRYING]

    def test_of_one(self) -> None:
        parent = run_with_letters()
        letter = parent.dead_letters.all()[0]
        run = letter.retry(by="the shop")
        assert run is not None
        assert (letter.state, letter.retried_by) == (State.RETRYING, run)
        assert states(parent) == [State.RETRYING, State.OPEN, State.OPEN]
        assert notes(parent) == [
            ("the shop", f"1 dead letter retried as run {run.pk}.")
        ]

    def test_of_several_runs_is_one_for_each(self) -> None:
        parents = [run_with_letters(2), run_with_letters(1)]
        runs = DeadLetter.objects.all().retry()
        assert [run.parent for run in runs] == parents
        assert [run.total for run in runs] == [2, 1]

    def test_takes_only_what_is_open(self) -> None:
        parent = run_with_letters()
        letter = parent.dead_letters.all()[0]
        letter.retry()
        (run,) = parent.dead_letters.retry()
        assert run.total == 2
        with pytest.raises(NoOpenLetters, match="None of these dead letters is open"):
            parent.dead_letters.retry()
        with pytest.raises(NoOpenLetters):
            letter.retry()
        assert Run.objects.filter(parent=parent).count() == 2

    def test_of_many_is_done_some_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(handling, "AT_ONCE", 2)
        parent = run_with_letters(5)
        (run,) = parent.dead_letters.retry(by="ada")
        assert (run.total, states(parent)) == (5, [State.RETRYING] * 5)
        assert notes(parent) == [("ada", f"5 dead letters retried as run {run.pk}.")]

    def test_leaves_what_a_worker_was_too_quick_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(handling, "AT_ONCE", 2)
        parent = run_with_letters(5)
        add = handling._add

        def claimed_before(retrial: Any, letters: Any) -> bool:
            if not retrial.run.attempts:
                claim(retrial.run)
            return add(retrial, letters)

        monkeypatch.setattr(handling, "_add", claimed_before)
        (run,) = parent.dead_letters.retry()
        assert (run.total, run.status) == (2, Status.RUNNING)
        assert states(parent) == [State.RETRYING] * 2 + [State.OPEN] * 3

    def test_writes_no_run_where_others_were_quicker(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = run_with_letters()
        some_at_a_time = handling._some_at_a_time

        def meanwhile(letters: Any, run: Run) -> Any:
            for some in some_at_a_time(letters, run):
                DeadLetter.objects.update(state=State.DISCARDED)
                yield some

        monkeypatch.setattr(handling, "_some_at_a_time", meanwhile)
        with pytest.raises(NoOpenLetters):
            parent.dead_letters.retry()
        assert Run.objects.get() == parent
        assert notes(parent) == []

    def test_without_the_condition_two_runs_would_count_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That a letter is open is asked for by the UPDATE, not only before it."""
        parent = run_with_letters()
        some_at_a_time = handling._some_at_a_time
        others: list[bool] = []

        def meanwhile(letters: Any, run: Run) -> Any:
            for some in some_at_a_time(letters, run):
                if not others:
                    others.append(True)
                    DeadLetter.objects.all().retry()
                yield some

        def take(self: DeadLetterQuerySet, run: Run) -> int:
            return self.update(state=State.RETRYING, retried_by=run)

        monkeypatch.setattr(handling, "_some_at_a_time", meanwhile)
        monkeypatch.setattr(DeadLetterQuerySet, "take", take)
        parent.dead_letters.retry()
        totals = Run.objects.filter(parent=parent).values_list("total", flat=True)
        assert sum(filter(None, totals)) == 6

    @pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
    def test_refuses_a_rate_that_is_none(self, rate: float) -> None:
        parent = run_with_letters()
        with pytest.raises(InvalidParameters, match="items per second"):
            parent.dead_letters.retry(rate=rate)
        assert states(parent) == [State.OPEN] * 3

    def test_of_a_task_that_is_gone_is_refused(self) -> None:
        parent = run_with_letters()
        Run.objects.update(task="testapp.Gone")
        with pytest.raises(TaskNotFound):
            parent.dead_letters.retry()
        assert states(parent) == [State.OPEN] * 3

    def test_that_the_queue_refuses_takes_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = run_with_letters()
        Run.objects.update(backend="gone")
        with pytest.raises(QueueRefused, match="TASKS has no backend 'gone'"):
            parent.dead_letters.retry()
        assert states(parent) == [State.OPEN] * 3

    def test_is_found_by_the_sweep_where_no_message_was_sent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = run_with_letters()
        monkeypatch.setattr(handling, "_call", lambda run: None)  # It died before.
        (run,) = parent.dead_letters.retry()
        run.refresh_from_db()
        assert run.resend_at is not None
        assert dispatch.expect(run)


@pytest.mark.django_db
class TestSlots:
    """No letter is in two runs, so the same parameters may be in many."""

    def test_any_number_of_retries_beside_each_other(self) -> None:
        parent = run_in(Status.ERRORED, CountUp)
        letters = letters_of(parent)
        assert len({letter.retry() for letter in letters}) == 3
        assert CountUp.enqueue().is_active

    def test_a_limit_of_a_task_holds_for_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(CountUp, "concurrency", 2)
        parent = run_in(Status.ERRORED, CountUp)
        first, second, third = letters_of(parent)
        first.retry()
        second.retry()
        with pytest.raises(AlreadyActive):
            third.retry()
        third.refresh_from_db()
        assert third.state == State.OPEN


@pytest.mark.django_db
class TestEndOfRun:
    """No letter is being retried by a run that is over."""

    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_opens_what_was_not_retried(self, status: Status) -> None:
        parent = run_with_letters()
        (run,) = parent.dead_letters.retry()
        claim_ = claim(run)
        if status == Status.CANCELLED:
            run.cancel()
            claim_.let_go()
        else:
            claim_.end(status)
        assert states(parent) == [State.OPEN] * 3

    def test_of_a_cancel_that_no_worker_is_needed_for(self) -> None:
        parent = run_with_letters()
        (run,) = parent.dead_letters.retry()
        run.cancel()
        assert states(parent) == [State.OPEN] * 3

    def test_is_not_a_pause(self) -> None:
        parent = run_with_letters()
        (run,) = parent.dead_letters.retry()
        run.pause()
        assert states(parent) == [State.RETRYING] * 3

    def test_is_taken_back_by_resume_as_far_as_nobody_else_has_it(self) -> None:
        parent = run_with_letters(5)
        (run,) = parent.dead_letters.retry()
        letters = list(parent.dead_letters.order_by("pk"))
        place = {"kind": "dead letters", "letter": letters[0].pk}
        letters[0]._row.update(state=State.OPEN)  # It failed once more.
        claim(run).end(Status.ERRORED, cursor=place)
        letters[1].refresh_from_db()
        other = letters[1].retry()
        letters[2].refresh_from_db()
        letters[2].discard("too old")
        run.resume()
        assert states(parent) == [
            *(State.OPEN, State.RETRYING, State.DISCARDED),
            *(State.RETRYING, State.RETRYING),
        ]
        letters[1].refresh_from_db()
        assert letters[1].retried_by == other
        assert run.total == run.reached + 2


@pytest.mark.django_db
class TestDiscard:
    def test_needs_a_reason(self) -> None:
        parent = run_with_letters()
        with pytest.raises(InvalidParameters, match="reason: Say why"):
            parent.dead_letters.discard("  ")
        assert states(parent) == [State.OPEN] * 3

    def test_says_who_and_why(self, ada: User) -> None:
        parent = run_with_letters()
        assert parent.dead_letters.discard("They are of 1999.", by=ada) == 3
        assert states(parent) == [State.DISCARDED] * 3
        letter = parent.dead_letters.all()[0]
        assert (letter.owner, letter.note) == (ada, "They are of 1999.")
        assert notes(parent) == [("ada", "3 dead letters discarded: They are of 1999.")]

    def test_by_a_name_leaves_the_owner(self, ada: User) -> None:
        parent = run_with_letters(1, owner=ada)
        parent.dead_letters.discard("spam", by="the shop")
        assert parent.dead_letters.get().owner == ada

    def test_of_several_runs_is_told_in_each(self) -> None:
        first, second = run_with_letters(2), run_with_letters(1)
        assert DeadLetter.objects.all().discard("no") == 3
        assert notes(first) == [("", "2 dead letters discarded: no")]
        assert notes(second) == [("", "1 dead letter discarded: no")]

    def test_takes_only_what_is_open(self) -> None:
        parent = run_with_letters()
        letter = parent.dead_letters.all()[0]
        letter.retry()
        assert parent.dead_letters.discard("no") == 2
        assert parent.dead_letters.discard("no") == 0
        assert len(notes(parent)) == 2
        with pytest.raises(NoOpenLetters, match="is not open any more"):
            letter.discard("no")

    def test_of_many_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handling, "AT_ONCE", 2)
        parent = run_with_letters(5)
        assert parent.dead_letters.discard("no") == 5
        assert notes(parent) == [("", "5 dead letters discarded: no")]


@pytest.mark.django_db
class TestSets:
    @pytest.mark.django_db
    def test_can_be_somebodys(self, ada: User) -> None:
        run = run_with_letters(note="Ask Grace.")
        assert run.dead_letters.assign(ada) == 3
        assert {letter.note for letter in run.dead_letters.all()} == {"Ask Grace."}
        assert run.dead_letters.all()[:1].count() == 1
        assert run.dead_letters.assign(None, note="Anybody's.") == 3
        told = {(letter.owner, letter.note) for letter in run.dead_letters.all()}
        assert told == {(None, "Anybody's.")}

    @pytest.mark.django_db
    def test_of_a_cause_are_named_by_its_first_digits(self) -> None:
        run = run_with_letters(2, fingerprint="ab" * 32)
        letters_of(run, 1, fingerprint="ac" * 32)
        causes = ["a", "ab", "ac", "ab" * 32, "ad", "b"]
        found = [run.dead_letters.of_cause(cause).count() for cause in causes]
        assert found == [3, 2, 1, 2, 0, 0]

    @pytest.mark.django_db
    @pytest.mark.parametrize("number", [1, 2, 3, 4])
    def test_are_cut_to_the_oldest(self, number: int) -> None:
        run = run_with_letters()
        letters = run.dead_letters.filter(state=State.OPEN)
        first = letters.first_ones(number).order_by("pk")
        assert list(first) == list(letters.order_by("pk"))[:number]


def test_a_letter_can_be_somebodys(ada: User) -> None:
    letter = run_with_letters(1).dead_letters.get()
    letter.assign(ada, note="Asks the supplier.")
    letter.assign(ada)
    letter.refresh_from_db()
    assert (letter.owner, letter.note) == (ada, "Asks the supplier.")


@pytest.mark.django_db(transaction=True)
class TestCalls:
    """Dead letters of calls among those of items."""

    @pytest.fixture
    def calls(self) -> Any:
        for order in (1, 2):
            bank.answers.append(bank.PaymentError("refused"))
            with pytest.raises(bank.PaymentError):
                bank.charge(order)
        bank.asked.clear()
        return DeadLetter.objects.filter(run=None)

    def test_are_made_again_beside_the_runs(self, calls: Any) -> None:
        parent = run_in(Status.ERRORED, CountUp)
        letters_of(parent)
        assert len(DeadLetter.objects.all().retry()) == 1
        assert {letter.state for letter in calls} == {State.RETRYING}

    def test_alone_have_no_run(self, calls: Any) -> None:
        assert calls.retry() == []
        with pytest.raises(NoOpenLetters):
            calls.retry()

    def test_have_no_rate(self, calls: Any) -> None:
        with pytest.raises(InvalidParameters, match="are of calls"):
            calls.retry(rate=1)
        with pytest.raises(InvalidParameters, match="are of calls"):
            calls[0].retry(rate=1)
        assert {letter.state for letter in calls} == {State.OPEN}

    def test_one_that_cannot_be_made_again_keeps_no_other(self, calls: Any) -> None:
        first = calls[0]
        calls.filter(pk=first.pk).update(obstacle="Its argument key is masked.")
        assert calls.retry() == []
        assert [letter.state for letter in calls.all()] == [State.OPEN, State.RETRYING]
        with pytest.raises(InvalidCall, match="is masked"):
            calls.retry()

    def test_are_given_up_with_the_others(self, calls: Any) -> None:
        letters_of(run_in(Status.ERRORED, CountUp))
        assert DeadLetter.objects.all().discard("All of them.", by="ada") == 5
        letter = calls.all()[0]
        assert (letter.state, letter.note) == (State.DISCARDED, "All of them.")
        assert letter.settled_at is not None
