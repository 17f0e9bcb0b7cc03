"""What the rules of a task make of items that fail, on every database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, transaction
from django.utils import timezone

from tests.execution.story import effects, log_of, once, resume
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Document, Effect, Item
from upkeep import Discard, Handle, Job, Quarantine, Report, Retry, Skip, Task
from upkeep.execution import executor, waiting
from upkeep.execution.claim import Claim
from upkeep.execution.executor import Executor
from upkeep.execution.settlement import Settlement
from upkeep.models import DeadLetter, Run
from upkeep.runs.progress import Progress
from upkeep.runs.status import Status

Known = Callable[[Any], Any]

FIRST, MIDDLE, LAST = 1, 7, 20
BAD = [{FIRST}, {MIDDLE}, {LAST}, {6, 7, 8}, {1, 2, 19, 20}, set(range(1, 21))]

pytestmark = pytest.mark.usefixtures("items", "still_clock")


class Faulty(CountUp):
    """Count up; the items in `bad` raise behind their effect."""

    abstract = True
    bad: set[int] = set()
    executed: list[int] = []

    def process(self, item: Item) -> None:
        super().process(item)
        self.executed.append(item.pk)
        if item.pk in self.bad:
            raise ValueError(f"item {item.pk} is bad")


@pytest.fixture(params=[True, False], ids=["atomic", "not atomic"])
def faulty(request: pytest.FixtureRequest, known: Known) -> Callable[..., Any]:
    """Return what makes a task with rules, of which a test says what is bad."""

    def make(*rules: Any, bad: set[int], **attributes: Any) -> Any:
        task = type(
            "Trial",
            (Faulty,),
            {
                "__qualname__": "f.<locals>.Trial",
                "on_error": list(rules),
                "atomic": request.param,
                "bad": bad,
                "executed": [],
                **attributes,
            },
        )
        return known(task)

    return make


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.status, run.done, run.failed, run.skipped


def good(bad: set[int]) -> dict[int, int]:
    return once(*(set(range(1, 21)) - bad))


def expected_effects(task: Any, bad: set[int]) -> dict[int, int]:
    """Return the ledger: what a bad item did is rolled back, if anything can be."""
    return good(bad) if task.atomic else once(*range(1, 21))


class TestPassedOver:
    """The items beside a bad one are done, each once, and the counts are exact."""

    @pytest.mark.parametrize("bad", BAD, ids=str)
    @pytest.mark.parametrize("rule", [Discard, Report, Quarantine])
    def test_the_run_goes_on_behind_it(
        self, faulty: Callable[..., Any], bad: set[int], rule: Any
    ) -> None:
        task = faulty(rule(ValueError), bad=bad)
        run = task.run_now()
        kept = len(bad) if rule is Quarantine else 0
        lost = (0, len(bad)) if rule is Discard else (len(bad), 0)
        assert counts(run) == (Status.SUCCEEDED, 20 - len(bad), *lost)
        assert effects() == expected_effects(task, bad)
        assert run.dead_letters.count() == kept
        assert Progress(run).fraction == 1.0

    def test_what_no_rule_fits_ends_the_run(self, faulty: Callable[..., Any]) -> None:
        run = faulty(Discard(KeyError), bad={MIDDLE}).run_now()
        assert counts(run) == (Status.ERRORED, 6, 0, 0)
        assert run.error_at == "testapp.Item 7"

    def test_resume_goes_on_with_it(self, faulty: Callable[..., Any]) -> None:
        task = faulty(Quarantine(ValueError, at_most=1), bad={3, MIDDLE})
        run = task.run_now()
        assert counts(run) == (Status.ERRORED, 5, 1, 0)
        assert run.traceback.count("1 of 7 items have failed already") == 1
        task.bad.discard(MIDDLE)
        run = resume(run)
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)

    def test_the_numbers_are_told(self, faulty: Callable[..., Any]) -> None:
        run = faulty(Report(ValueError), bad={3, MIDDLE}).run_now()
        assert Progress(run).text == "18 of 20 items (100 %), 2 failed"

    def test_an_error_that_is_reported_is_logged_as_one(
        self, faulty: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        faulty(Report(ValueError), bad={MIDDLE}).run_now()
        (record,) = [e for e in caplog.records if e.levelno == logging.WARNING]
        message = record.getMessage()
        assert "testapp.Item 7 counts as failed. ValueError: item 7 is bad" in message

    def test_errors_of_the_database_are_passed_over_too(
        self, faulty: Callable[..., Any], known: Known
    ) -> None:
        """On PostgreSQL the transaction is of no use after one."""
        twin = Document.objects.create()

        def process(self: Any, item: Item) -> None:
            Effect.objects.create(item=item.pk)
            if item.pk == MIDDLE:
                Document.objects.create(pk=twin.pk)

        task = faulty(Discard(IntegrityError), bad=set(), process=process)
        run = task.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)
        assert effects() == expected_effects(task, {MIDDLE})

    def test_errors_of_the_commit_are_passed_over_too(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            on_error = [Discard(RuntimeError)]

            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE:
                    transaction.set_rollback(True)

        run = Trial.run_now()
        # The mark for a rollback is an error of ours, for which there is no rule here.
        assert counts(run) == (Status.ERRORED, 6, 0, 0)
        Trial.on_error = [Discard(Exception)]
        run = resume(run)
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)
        assert effects() == good({MIDDLE})


class TestSkip:
    """An item that wants to be passed over is no failure, and costs no transaction."""

    def test_is_counted_and_said(self, faulty: Callable[..., Any]) -> None:
        def process(self: Any, item: Item) -> None:
            if item.pk % 2:
                raise Skip("odd" if item.pk == MIDDLE else "")
            Effect.objects.create(item=item.pk)

        run = faulty(bad=set(), process=process).run_now()
        assert counts(run) == (Status.SUCCEEDED, 10, 0, 10)
        assert effects() == once(*range(2, 21, 2))
        assert log_of(run) == ["Skipped testapp.Item 7: odd"]

    def test_is_counted_once_where_a_neighbour_fails(
        self, faulty: Callable[..., Any]
    ) -> None:
        def process(self: Any, item: Item) -> None:
            if item.pk == 3:
                raise Skip
            Faulty.process(self, item)

        run = faulty(Discard(ValueError), bad={MIDDLE}, process=process).run_now()
        assert counts(run) == (Status.SUCCEEDED, 18, 0, 2)


class TestRetry:
    """An item is executed again after a wait, and its attempts are kept meanwhile."""

    def recovering(self, faulty: Callable[..., Any], *rules: Any, times: int) -> Any:
        """Return a task whose item 7 fails so many times."""
        failures = [0]

        def process(self: Any, item: Item) -> None:
            Effect.objects.create(item=item.pk)
            if item.pk == MIDDLE and failures[0] < times:
                failures[0] += 1
                raise ValueError(f"failure {failures[0]}")

        return faulty(*rules, bad=set(), process=process)

    def test_goes_on_when_it_succeeds(self, faulty: Callable[..., Any]) -> None:
        rule = Retry(ValueError, wait=timedelta(0), attempts=4)
        task = self.recovering(faulty, rule, times=3)
        run = task.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert run.item_attempts == 0
        if task.atomic:
            assert effects() == once(*range(1, 21))

    def test_counts_executions_the_first_included(
        self, faulty: Callable[..., Any]
    ) -> None:
        rule = Retry(ValueError, wait=timedelta(0), attempts=3)
        run = faulty(rule, bad={MIDDLE}).run_now()
        assert counts(run) == (Status.ERRORED, 6, 0, 0)
        assert Faulty_executed(run) == 3

    def test_that_is_used_up_leaves_it_to_the_next_rule(
        self, faulty: Callable[..., Any]
    ) -> None:
        rules = [
            Retry(ValueError, wait=timedelta(0), attempts=2),
            Quarantine(ValueError),
        ]
        run = faulty(*rules, bad={MIDDLE}).run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert run.dead_letters.get().attempts == 2

    def test_a_long_wait_gives_the_worker_back_and_keeps_the_count(
        self, faulty: Callable[..., Any]
    ) -> None:
        rule = Retry(ValueError, wait=timedelta(minutes=10), jitter=0, attempts=5)
        task = faulty(rule, bad={MIDDLE})
        run = task.enqueue()
        # In an atomic task it is executed among others first, and then alone.
        for attempts in (2, 3) if task.atomic else (1, 2):
            executor.execute(run.pk, run.lease_token)
            run.refresh_from_db()
            assert run.status == Status.INTERRUPTED
            assert run.item_attempts == attempts
            assert run.run_after is not None
            wait = run.run_after - timezone.now()
            assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
            assert "testapp.Item 7 is tried again after 10 min" in run.reason
            Run.objects.update(run_after=None)  # So long it has waited now.
            run.refresh_from_db()
        assert run.done == 6

    def test_a_pause_while_it_waits_is_heard_at_once(
        self, faulty: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rule = Retry(ValueError, wait=timedelta(seconds=4), attempts=5)
        run = faulty(rule, bad={MIDDLE}).enqueue()
        naps: list[float] = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            Run.objects.get(pk=run.pk).pause()

        monkeypatch.setattr(waiting, "sleep", sleep)
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert counts(run)[:2] == (Status.PAUSED, 6)
        assert naps == [0.5]

    def test_resume_of_an_errored_run_begins_the_count_anew(
        self, faulty: Callable[..., Any]
    ) -> None:
        rule = Retry(ValueError, wait=timedelta(0), attempts=2)
        task = faulty(rule, bad={MIDDLE})
        run = resume(task.run_now())
        assert run.status == Status.ERRORED
        assert task.executed.count(MIDDLE) >= 4


def Faulty_executed(run: Run) -> int:  # noqa: N802 - of the class above
    """Return how often the item was executed that ended the run."""
    executed: list[int] = run.task_class.executed  # type: ignore[attr-defined]
    return executed.count(MIDDLE)


class TestHandle:
    """A method of the task sees to it, in a transaction of its own."""

    def test_that_returns_has_done_the_item(self, faulty: Callable[..., Any]) -> None:
        def mend(self: Any, error: ValueError, item: Item) -> None:
            assert str(error) == f"item {item.pk} is bad"
            Effect.objects.create(item=-item.pk)

        task = faulty(Handle(ValueError, "mend"), bad={MIDDLE, LAST}, mend=mend)
        run = task.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert effects() == expected_effects(task, {MIDDLE, LAST}) | once(-7, -20)

    def test_that_raises_leaves_it_to_the_other_rules(
        self, faulty: Callable[..., Any]
    ) -> None:
        def mend(self: Any, error: ValueError, item: Item) -> None:
            Effect.objects.create(item=-item.pk)
            raise KeyError("no part")

        rules = [Handle(ValueError, "mend"), Quarantine(KeyError)]
        task = faulty(*rules, bad={MIDDLE}, mend=mend)
        run = task.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert effects() == expected_effects(task, {MIDDLE})
        assert run.dead_letters.get().error_class == "builtins.KeyError"

    def test_that_raises_what_no_rule_fits_ends_the_run(
        self, faulty: Callable[..., Any]
    ) -> None:
        def mend(self: Any, error: ValueError, item: Item) -> None:
            raise error

        task = faulty(Handle(ValueError, "mend"), bad={MIDDLE}, mend=mend)
        assert counts(task.run_now()) == (Status.ERRORED, 6, 0, 0)

    def test_that_lost_its_connection_is_called_again(
        self, faulty: Callable[..., Any]
    ) -> None:
        """What passes by itself does not use up the rule."""
        answers = [InterfaceError("the line went dead")]

        def mend(self: Any, error: ValueError, item: Item) -> None:
            Effect.objects.create(item=-item.pk)
            if answers:
                raise answers.pop()

        task = faulty(Handle(ValueError, "mend"), bad={MIDDLE}, mend=mend)
        assert counts(task.run_now()) == (Status.SUCCEEDED, 20, 0, 0)
        assert effects()[-MIDDLE] == 1

    def test_whose_callback_raises_has_done_it_all_the_same(
        self, faulty: Callable[..., Any]
    ) -> None:
        def mend(self: Any, error: ValueError, item: Item) -> None:
            def fail() -> None:
                raise KeyError("behind the commit")

            transaction.on_commit(fail)

        run = faulty(Handle(ValueError, "mend"), bad={MIDDLE}, mend=mend).run_now()
        assert counts(run) == (Status.ERRORED, 7, 0, 0)
        run = resume(run)
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)


class TestJobs:
    """A Job has but one step: a rule says how it ends."""

    @pytest.fixture(params=[True, False], ids=["atomic", "not atomic"])
    def failing(self, request: pytest.FixtureRequest, known: Known) -> Any:
        def make(*rules: Any, error: Exception | None = None) -> Any:
            def perform(self: Any) -> None:
                Effect.objects.create(item=1)
                raise error or ValueError("bad")

            def mend(self: Any, error: Exception) -> None:
                Effect.objects.create(item=2)

            return known(
                type(
                    "Trial",
                    (Job,),
                    {
                        "__qualname__": "f.<locals>.Trial",
                        "app_label": "testapp",
                        "atomic": request.param,
                        "on_error": list(rules),
                        "perform": perform,
                        "mend": mend,
                    },
                )
            )

        return make

    @pytest.mark.parametrize(
        ("rules", "end"),
        [
            ([], (Status.ERRORED, 0, 0, 0)),
            ([Discard(ValueError)], (Status.DISCARDED, 0, 0, 1)),
            ([Report(ValueError)], (Status.SUCCEEDED, 0, 1, 0)),
            ([Quarantine(ValueError)], (Status.DISCARDED, 0, 1, 0)),
            ([Handle(ValueError, "mend")], (Status.SUCCEEDED, 1, 0, 0)),
            (
                [Retry(ValueError, wait=timedelta(0)), Discard(ValueError)],
                (Status.DISCARDED, 0, 0, 1),
            ),
        ],
        ids=str,
    )
    def test_end_as_the_rule_says(
        self, failing: Any, rules: list[Any], end: tuple[str, int, int, int]
    ) -> None:
        run = failing(*rules).run_now()
        assert counts(run) == end
        if run.status == Status.DISCARDED:
            assert run.reason == "ValueError: bad"
        assert DeadLetter.objects.count() == isinstance((rules or [0])[-1], Quarantine)

    def test_is_discarded_together_with_its_count(
        self, failing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that dies between the two would leave a run that succeeds."""

        def die(*args: Any, **kwargs: Any) -> None:
            raise AssertionError("there is nothing left to be written")

        monkeypatch.setattr(Claim, "end", die)
        assert counts(failing(Discard(ValueError)).run_now()) == (
            *(Status.DISCARDED, 0, 0, 1),
        )

    def test_skip_discards_it(self, failing: Any) -> None:
        run = failing(error=Skip("nothing to report")).run_now()
        assert counts(run) == (Status.DISCARDED, 0, 0, 1)
        assert run.reason == "Skip: nothing to report"


class TestDeadLetters:
    """What failed for good is kept, with all that one needs to see to it."""

    def test_keep_what_and_why(self, faulty: Callable[..., Any]) -> None:
        run = faulty(Quarantine(ValueError), bad={MIDDLE}).run_now()
        (letter,) = run.dead_letters.all()
        assert letter.item == "testapp.Item 7"
        assert letter.payload == {"$model": "testapp.item", "pk": 7}
        assert letter.error_class == "builtins.ValueError"
        assert letter.error_message == "item 7 is bad"
        assert "in process" in letter.traceback
        assert letter.state == DeadLetter.State.OPEN
        assert letter.cursor["values"] == [6]

    def test_of_one_cause_share_a_fingerprint(self, faulty: Callable[..., Any]) -> None:
        def process(self: Any, item: Item) -> None:
            if item.pk in (3, 4):
                raise ValueError(f"item {item.pk} is bad")
            if item.pk == 5:
                raise KeyError(f"item {item.pk} is bad")

        run = faulty(Quarantine(Exception), bad=set(), process=process).run_now()
        prints = list(run.dead_letters.values_list("fingerprint", flat=True))
        assert prints[0] == prints[1] != prints[2]

    def test_hide_secrets(self, known: Known) -> None:
        from tests.testapp.maintenance import Confide

        @known
        class Trial(Confide):
            on_error = [Quarantine(Exception)]

            def collection(self) -> Any:
                return [{"key": self.api_key}]

            def process(self, item: Any) -> None:
                raise ValueError(f"refused {self.api_key}")

        run = Trial.run_now(story="a dark one", api_key="open-sesame")
        (letter,) = run.dead_letters.all()
        assert letter.payload == {"key": "[FILTERED]"}
        assert "open-sesame" not in letter.error_message + letter.traceback

    def test_of_items_that_cannot_be_stored_have_no_payload(self, known: Known) -> None:
        @known
        class Trial(Task):
            app_label = "testapp"
            on_error = [Quarantine(Exception)]

            def collection(self) -> Any:
                return [object()]

            def process(self, item: Any) -> None:
                raise ValueError("bad")

        (letter,) = Trial.run_now().dead_letters.all()
        assert (letter.item, letter.payload) == ("item 1", None)


def test_an_error_of_the_collection_is_no_item_s(faulty: Callable[..., Any]) -> None:
    def collection(self: Any) -> Any:
        raise ValueError("no collection")

    run = faulty(Discard(Exception), bad=set(), collection=collection).run_now()
    assert counts(run) == (Status.ERRORED, 0, 0, 0)
    assert run.error_message == "no collection"


@pytest.mark.parametrize("bad", [MIDDLE, LAST])
def test_a_commit_whose_answer_is_lost_counts_once(
    faulty: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    bad: int,
) -> None:
    """The item is behind the run already when the worker hears of an error."""
    work_on_chunk = Executor._work_on_chunk
    answers = [InterfaceError("the line went dead")]

    def lose_the_answer(self: Executor) -> None:
        work_on_chunk(self)
        if answers:
            raise answers.pop()

    monkeypatch.setattr(Executor, "_work_on_chunk", lose_the_answer)
    caplog.set_level(logging.INFO)
    run = faulty(Quarantine(ValueError), bad={bad}).run_now()
    assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
    assert run.dead_letters.count() == 1
    assert caplog.text.count("counts as failed") == 1


def test_the_last_attempt_of_a_job_is_not_made_again_for_want_of_an_answer(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_on_chunk = Executor._work_on_chunk
    performed: list[int] = []

    def lose_the_last_answer(self: Executor) -> None:
        work_on_chunk(self)
        if len(performed) == 3:
            raise InterfaceError("the line went dead")

    @known
    class Trial(Job):
        rule = Retry(ValueError, wait=timedelta(0), attempts=3)
        on_error = [rule, Quarantine(ValueError)]

        def perform(self) -> None:
            performed.append(1)
            raise ValueError("bad")

    monkeypatch.setattr(Executor, "_work_on_chunk", lose_the_last_answer)
    run = Trial.run_now()
    assert (run.status, len(performed)) == (Status.DISCARDED, 3)
    assert run.dead_letters.get().attempts == 3


def test_a_job_is_not_performed_again_because_its_discard_was_not_committed(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place behind its step was read in the transaction that is undone."""
    move, lost = Claim.move, [InterfaceError("the line went dead")]
    performed: list[int] = []

    def lose_the_commit(self: Claim, target: Status, **changes: Any) -> None:
        move(self, target, **changes)
        if target is Status.DISCARDED and lost:
            raise lost.pop()

    @known
    class Trial(Job):
        on_error = [Quarantine(ValueError)]

        def perform(self) -> None:
            performed.append(1)
            raise ValueError("bad")

    monkeypatch.setattr(Claim, "move", lose_the_commit)
    run = Trial.run_now()
    assert (run.status, len(performed), lost) == (Status.DISCARDED, 1, [])
    assert run.dead_letters.get().attempts == 1


def test_a_commit_that_did_not_happen_is_not_taken_for_that_of_another_item(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row counts as many attempts, but at the item that the chunk began with."""
    checkpoint, executed = Executor._checkpoint, Counter[int]()
    lost: list[tuple[int, int]] = []

    def lose_a_commit(self: Executor) -> None:
        checkpoint(self)
        if self.chunk.failure and self.chunk.items and not lost:
            lost.append((self.run.item_attempts, self.chunk.attempts))
            raise InterfaceError("the line went dead")

    @known
    class Trial(Task):
        rule = Retry(ValueError, wait=timedelta(0), attempts=3)
        on_error = [rule, Handle(KeyError, "see_to")]

        def collection(self) -> Any:
            return range(1, 21)

        def process(self, number: int) -> None:
            executed[number] += 1
            if number == 1 and executed[number] == 1:
                raise ValueError("not yet")
            if number == 12:
                raise KeyError("never")
            Effect.objects.create(item=number)

        def see_to(self, error: Exception, number: int) -> None:
            Effect.objects.create(item=number)

    monkeypatch.setattr(Executor, "_checkpoint", lose_a_commit)
    run = Trial.run_now()
    assert lost == [(1, 1)]
    assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
    effects = Effect.objects.values_list("item", flat=True)
    assert sorted(effects) == [*range(1, 21)]


def test_a_commit_of_a_handler_whose_answer_is_lost_counts_once(
    faulty: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over, answers = Settlement._hand_over, [InterfaceError("the line went dead")]

    def lose_the_answer(self: Settlement, *arguments: Any) -> None:
        hand_over(self, *arguments)
        if answers:
            raise answers.pop()

    def see_to(self: Any, error: Exception, item: Item) -> None:
        """Do nothing."""

    monkeypatch.setattr(Settlement, "_hand_over", lose_the_answer)
    run = faulty(Handle(ValueError, "see_to"), bad={MIDDLE}, see_to=see_to).run_now()
    assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)


def test_a_rule_that_raises_itself_ends_the_run(faulty: Callable[..., Any]) -> None:
    def wait(attempt: int) -> timedelta:
        raise RuntimeError("no idea")

    run = faulty(Retry(ValueError, wait=wait), bad={MIDDLE}).run_now()
    assert counts(run) == (Status.ERRORED, 6, 0, 0)
    assert run.error_message == "no idea"


def test_the_next_worker_goes_on_with_the_rules(faulty: Callable[..., Any]) -> None:
    rule = Retry(ValueError, wait=timedelta(minutes=10), attempts=3)
    task = faulty(rule, Discard(ValueError), bad={MIDDLE})
    run, messages = task.enqueue(), 0
    while run.is_active:
        executor.execute(run.pk, run.lease_token)
        Run.objects.update(run_after=None)  # So long it has waited now.
        run.refresh_from_db()
        messages += 1
    assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)
    assert task.executed.count(MIDDLE) == 3
    assert messages == (2 if task.atomic else 3)
