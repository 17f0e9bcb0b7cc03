"""Dead letters in the run that retries them, on every database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import InterfaceError, connection
from django.db.models import Value
from django.test.utils import CaptureQueriesContext

from tests.execution.story import effects, go_on, log_of, once, resume
from tests.testapp.clock import clock
from tests.testapp.maintenance import CountUp, ImportItems, ImportItemsInBatches
from tests.testapp.models import Effect, Item, Seat
from upkeep import Batches, Discard, Handle, Job, Quarantine, Report, Retry, Skip, Task
from upkeep.exceptions import LeaseLost
from upkeep.execution import executor, waiting
from upkeep.execution.claim import Claim
from upkeep.execution.interruption import Interruption
from upkeep.execution.settlement import Settlement
from upkeep.models import DeadLetter, Run
from upkeep.runs.retried_letters import RetriedLetters
from upkeep.runs.status import Status

Known = Callable[[Any], Any]

pytestmark = pytest.mark.usefixtures("items", "still_clock")

OPEN, RETRYING, RESOLVED, DISCARDED = (
    DeadLetter.State.OPEN,
    DeadLetter.State.RETRYING,
    DeadLetter.State.RESOLVED,
    DeadLetter.State.DISCARDED,
)


class Faulty(CountUp):
    """Count up; the items in `bad` raise behind their effect."""

    abstract = True
    bad: set[int] = set()

    def process(self, item: Item) -> None:
        super().process(item)
        if item.pk in self.bad:
            raise ValueError(f"item {item.pk} is bad")


@pytest.fixture(params=[True, False], ids=["atomic", "not atomic"])
def atomic(request: pytest.FixtureRequest) -> bool:
    is_atomic: bool = request.param
    return is_atomic


@pytest.fixture
def faulty(known: Known, atomic: bool) -> Callable[..., Any]:
    """Return what makes a task whose bad items are kept, with other rules first."""

    def make(*bad: int, first: tuple[Any, ...] = (), **attributes: Any) -> Any:
        rules = [*first, Quarantine(Exception)]
        fields = {"bad": set(bad), "on_error": rules, "atomic": atomic, **attributes}
        name = {"__qualname__": "f.<locals>.Trial"}
        return known(type("Trial", (Faulty,), name | fields))

    return make


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.status, run.done, run.failed, run.skipped


def states(parent: Run) -> list[str]:
    return list(parent.dead_letters.order_by("pk").values_list("state", flat=True))


def retried(parent: Run, **options: Any) -> Run:
    """Retry all dead letters of a run, and be the worker that does it."""
    Effect.objects.all().delete()
    (run,) = parent.dead_letters.retry(**options)
    return go_on(run)


class TestOutcomes:
    def test_what_succeeds_is_resolved(self, faulty: Callable[..., Any]) -> None:
        task = faulty(3, 7, 20)
        parent = task.run_now()
        task.bad.clear()
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 3, 0, 0)
        assert states(parent) == [RESOLVED] * 3
        assert effects() == once(3, 7, 20)
        parent.refresh_from_db()
        assert counts(parent) == (Status.SUCCEEDED, 17, 3, 0)

    @pytest.mark.parametrize("bad", [{3}, {7}, {20}, {3, 7}, {3, 7, 20}], ids=str)
    def test_what_fails_is_open_again_and_the_others_are_done(
        self, faulty: Callable[..., Any], atomic: bool, bad: set[int]
    ) -> None:
        task = faulty(3, 7, 20)
        parent = task.run_now()
        task.bad &= bad
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 3 - len(bad), len(bad), 0)
        assert states(parent) == [OPEN if n in bad else RESOLVED for n in (3, 7, 20)]
        assert effects() == once(*({3, 7, 20} - bad if atomic else {3, 7, 20}))
        assert DeadLetter.objects.count() == 3

    def test_the_new_error_is_the_one_that_counts(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            on_error = [Quarantine(Exception)]
            error: Exception = ValueError("first")

            def process(self, item: Item) -> None:
                if item.pk == 7:
                    raise self.error

        parent = Trial.run_now()
        before = parent.dead_letters.get()
        Trial.error = KeyError("second")
        retried(parent)
        letter = parent.dead_letters.get()
        assert letter.error_class == "builtins.KeyError"
        assert letter.error_message == "'second'"
        assert "KeyError" in letter.traceback
        assert letter.fingerprint != before.fingerprint
        assert letter.attempts > before.attempts
        assert (letter.item, letter.cursor) == (before.item, before.cursor)

    @pytest.mark.parametrize(
        "rules",
        [[], [Report(ValueError)], [Quarantine(ValueError, at_most=1)]],
        ids=["no rule", "Report", "Quarantine"],
    )
    def test_no_failure_ends_the_run(
        self, faulty: Callable[..., Any], rules: list[Any]
    ) -> None:
        task = faulty(*range(1, 21))
        parent = task.run_now()
        task.on_error = rules
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 0, 20, 0)
        assert states(parent) == [OPEN] * 20

    def test_an_exit_does_not_end_it_either(self, faulty: Callable[..., Any]) -> None:
        task = faulty(7, 8)
        parent = task.run_now()

        def process(self: Any, item: Item) -> None:
            if item.pk == 7:
                raise SystemExit

        task.process = process
        assert counts(retried(parent)) == (Status.SUCCEEDED, 1, 1, 0)
        assert states(parent) == [OPEN, RESOLVED]

    def test_what_a_rule_gives_up_is_discarded(
        self, faulty: Callable[..., Any]
    ) -> None:
        task = faulty(3, 7)
        parent = task.run_now()
        task.on_error = [Discard(ValueError)]
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 0, 0, 2)
        assert states(parent) == [DISCARDED] * 2
        assert parent.dead_letters.all()[0].note == "ValueError: item 3 is bad"

    def test_what_is_skipped_is_discarded(self, faulty: Callable[..., Any]) -> None:
        task = faulty(3, 7, 8)
        parent = task.run_now()

        def process(self: Any, item: Item) -> None:
            if item.pk == 7:
                raise Skip("It is sold.")
            if item.pk == 8:
                raise Skip
            CountUp.process(self, item)

        task.process = process
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 1, 0, 2)
        assert states(parent) == [RESOLVED, DISCARDED, DISCARDED]
        letters = parent.dead_letters.order_by("pk")
        assert [each.note for each in letters] == [
            *("", "It is sold.", "Its task skips it.")
        ]
        assert log_of(run) == ["Skipped testapp.Item 7: It is sold."]

    def test_what_a_method_sees_to_is_resolved(
        self, faulty: Callable[..., Any]
    ) -> None:
        def mend(self: Any, error: ValueError, item: Item) -> None:
            Effect.objects.create(item=-item.pk)

        task = faulty(3, 7, mend=mend)
        parent = task.run_now()
        task.on_error = [Handle(ValueError, "mend")]
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 2, 0, 0)
        assert states(parent) == [RESOLVED] * 2
        assert effects().keys() >= {-3, -7}

    def test_retry_executes_it_again(self, faulty: Callable[..., Any]) -> None:
        task = faulty(3, 7)
        parent = task.run_now()
        failures = [2]

        def process(self: Any, item: Item) -> None:
            if item.pk == 7 and failures[0]:
                failures[0] -= 1
                raise ValueError("not yet")

        task.process, task.on_error = process, [Retry(ValueError, wait=timedelta(0))]
        assert counts(retried(parent)) == (Status.SUCCEEDED, 2, 0, 0)
        assert states(parent) == [RESOLVED] * 2

    def test_secrets_stay_hidden(self, known: Known) -> None:
        from tests.testapp.maintenance import Confide

        @known
        class Trial(Confide):
            on_error = [Quarantine(Exception)]

            def collection(self) -> Any:
                return ["1", "2"]

            def process(self, item: str) -> None:
                if self.run and self.run.parent_id and item == "2":
                    raise Skip(f"refused {self.api_key}")
                raise ValueError(f"refused {self.api_key}")

        parent = Trial.run_now(story="a dark one", api_key="open-sesame")
        retried(parent)
        first, second = parent.dead_letters.order_by("pk")
        assert "open-sesame" not in first.error_message + first.traceback
        assert (second.state, second.note) == (DISCARDED, "refused [FILTERED]")


class TestRecords:
    def test_are_those_of_the_collection_itself(self, known: Known) -> None:
        seen: list[Any] = []

        @known
        class Trial(CountUp):
            on_error = [Quarantine(Exception)]

            def collection(self) -> Any:
                records = Item.objects.annotate(sign=Value("+")).only("n")
                return records.filter(n=0)

            def process(self, item: Any) -> None:
                if item.pk in (3, 7) and self.run and not self.run.parent_id:
                    raise ValueError("bad")
                seen.append((item.pk, item.sign, item.get_deferred_fields()))

        parent = Trial.run_now()
        seen.clear()
        Item.objects.filter(pk=3).update(name="new")
        retried(parent)
        assert seen == [(3, "+", {"name"}), (7, "+", {"name"})]

    def test_that_left_the_collection_need_nothing(
        self, faulty: Callable[..., Any]
    ) -> None:
        task = faulty(3, 7, 9, 20, collection=lambda self: Item.objects.filter(n__lt=5))
        parent = task.run_now()
        task.bad.clear()
        Item.objects.filter(pk=7).delete()
        Item.objects.filter(pk=20).update(n=9)
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 2, 0, 2)
        assert states(parent) == [RESOLVED] * 4
        assert effects() == once(3, 9)
        gone = "It is no longer in the collection."
        notes = [letter.note for letter in parent.dead_letters.order_by("pk")]
        assert notes == ["", gone, "", gone]
        assert f"Skipped testapp.Item 7: {gone}" in log_of(run)

    def test_are_fetched_with_one_query(self, faulty: Callable[..., Any]) -> None:
        task = faulty(*range(1, 21))
        parent = task.run_now()
        (run,) = parent.dead_letters.retry()
        run.refresh_from_db()
        with CaptureQueriesContext(
            connection,
        ) as asked:
            page = RetriedLetters(run, task().walk()).page(None, 15)
        assert [item.pk for item in page.items] == list(range(1, 16))
        assert (len(asked), page.last) == (2, False)

    def test_with_a_key_of_two_columns(self, known: Known) -> None:
        for row, number in ((1, 1), (1, 2), (2, 1)):
            Seat.objects.create(row=row, number=number)

        @known
        class Trial(Task):
            app_label = "testapp"
            on_error = [Quarantine(Exception)]

            def collection(self) -> Any:
                return Seat.objects.all()

            def process(self, seat: Seat) -> None:
                if self.run and not self.run.parent_id and seat.number == 1:
                    raise ValueError("taken")
                Seat.objects.filter(pk=seat.pk).update(guest="ada")

        parent = Trial.run_now()
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 2, 0, 0)
        assert Seat.objects.filter(guest="ada").count() == 3

    def test_kept_without_their_key_are_not_taken_for_others(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUp):
            on_error = [Quarantine(Exception)]

            def process(self, item: Item) -> None:
                if item.pk == 7:
                    item.pk = None
                    raise ValueError("bad")
                super().process(item)

        parent = Trial.run_now()
        parent.dead_letters.update(payload=None)
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 0, 1, 0)
        assert effects() == {}
        letter = parent.dead_letters.get()
        assert (letter.state, letter.error_class) == (
            *(OPEN, "upkeep.exceptions.UpkeepError"),
        )

    def test_of_another_model_stop_the_run(self, faulty: Callable[..., Any]) -> None:
        task = faulty(3, 7)
        parent = task.run_now()
        task.collection = lambda self: Effect.objects.all()
        run = retried(parent)
        assert run.status == Status.ERRORED
        assert "its task now walks testapp.Effect" in run.error_message
        assert states(parent) == [OPEN] * 2


class TestBatches:
    @pytest.fixture
    def task(self, known: Known) -> Any:
        @known
        class Trial(Task):
            app_label = "testapp"
            # What a handler raised for is not halved.
            on_error = [Handle(ValueError, "give_up"), Quarantine(ValueError)]
            bad = [True]

            def give_up(self, error: ValueError, batch: Any) -> None:
                raise error

            def collection(self) -> Any:
                return Batches(Item.objects.filter(n=0), 6)

            def process(self, batch: Any) -> None:
                for item in batch:
                    Effect.objects.create(item=item.pk)
                if self.bad and batch.filter(pk__in=[7, 20]):
                    raise ValueError("bad")
                batch.update(n=1)

        return Trial

    def test_are_what_is_left_of_them(self, task: Any) -> None:
        parent = task.run_now()
        assert states(parent) == [OPEN] * 2
        Item.objects.filter(pk__in=[8, 19, 20]).update(n=5)
        task.bad.clear()
        run = retried(parent)
        assert (*counts(run), run.unit) == (Status.SUCCEEDED, 1, 0, 1, "batch")
        assert effects() == once(7, 9, 10, 11, 12)
        assert states(parent) == [RESOLVED] * 2

    def test_of_one_record_that_was_found_by_halves(self, task: Any) -> None:
        task.on_error = [Quarantine(ValueError)]
        parent = task.run_now()
        assert effects() == once(*(pk for pk in range(1, 21) if pk not in (7, 20)))
        task.bad.clear()
        assert counts(retried(parent))[1:] == (2, 0, 0)
        assert effects() == once(7, 20)

    def test_are_refused_where_single_records_are_walked_now(self, task: Any) -> None:
        parent = task.run_now()
        task.collection = lambda self: Item.objects.all()
        run = retried(parent)
        assert run.status == Status.ERRORED
        assert "is a batch" in run.error_message
        assert states(parent) == [OPEN] * 2


def rows(number: int) -> ContentFile[bytes]:
    lines = [f"row {place},{place}" for place in range(1, number + 1)]
    return ContentFile("\n".join(["name,n", *lines]).encode(), name="items.csv")


class TestOthers:
    """What is no record is found by its place."""

    @pytest.fixture(autouse=True)
    def folder(self, settings: Any, tmp_path: Any) -> None:
        settings.BASE_DIR = tmp_path

    @pytest.mark.parametrize(
        ("base", "bad", "expected"),
        [(ImportItems, {3, 8}, {3, 8}), (ImportItemsInBatches, {4}, {4, 5, 6})],
    )
    def test_rows_of_a_file(
        self, known: Known, base: Any, bad: set[int], expected: set[int]
    ) -> None:
        class Trial(base):  # type: ignore[misc]
            on_error = [Quarantine(ValueError)]

            def process(self, item: Any) -> None:
                some = item if isinstance(item, list) else [item]
                is_first = self.run and not self.run.parent_id
                if is_first and any(int(row["n"]) in bad for row in some):
                    raise ValueError("bad")
                super().process(item)

        Item.objects.all().delete()
        parent = known(Trial).run_now(csv_file=rows(9))
        Item.objects.all().delete()
        run = retried(parent)
        assert (run.status, run.failed) == (Status.SUCCEEDED, 0)
        assert set(Item.objects.values_list("n", flat=True)) == expected
        assert set(states(parent)) == {RESOLVED}

    def test_elements_of_a_sequence(self, known: Known) -> None:
        @known
        class Trial(Task):
            app_label = "testapp"
            on_error = [Quarantine(ValueError)]
            items = list(range(10, 20))

            def collection(self) -> Any:
                return self.items

            def process(self, item: int) -> None:
                if self.run and not self.run.parent_id and item in (12, 19):
                    raise ValueError("bad")
                Effect.objects.create(item=item)

        parent = Trial.run_now()
        Trial.items = list(range(10, 19))
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 1, 0, 1)
        assert effects() == once(12)
        assert states(parent) == [RESOLVED] * 2

    def test_what_iterate_yields(self, known: Known) -> None:
        @known
        class Trial(Task):
            app_label = "testapp"
            on_error = [Quarantine(ValueError)]

            def iterate(self, cursor: int | None) -> Any:
                for number in range((cursor or 0) + 1, 10):
                    yield number, number

            def process(self, item: int) -> None:
                if self.run and not self.run.parent_id and item in (1, 5, 9):
                    raise ValueError("bad")
                Effect.objects.create(item=item)

        parent = Trial.run_now()
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 3, 0, 0)
        assert effects() == once(1, 5, 9)

    @pytest.mark.parametrize("is_good", [True, False])
    def test_the_step_of_a_job(self, known: Known, is_good: bool) -> None:
        @known
        class Trial(Job):
            app_label = "testapp"
            on_error = [Quarantine(ValueError)]

            def perform(self) -> str:
                if is_good and self.run and self.run.parent_id:
                    return "done"
                raise ValueError("bad")

        parent = Trial.run_now()
        assert parent.status == Status.DISCARDED
        run = retried(parent)
        assert states(parent) == [RESOLVED if is_good else OPEN]
        if is_good:
            assert (*counts(run), run.result) == (Status.SUCCEEDED, 1, 0, 0, "done")
        else:
            assert counts(run) == (Status.DISCARDED, 0, 1, 0)
            assert parent.dead_letters.get().attempts == 2

    def test_an_item_that_cannot_be_read_keeps_none_from_being_done(
        self, known: Known
    ) -> None:
        @known
        class Trial(Task):
            app_label = "testapp"
            on_error = [Quarantine(ValueError)]
            broken: set[int] = set()

            def iterate(self, cursor: int | None) -> Any:
                for number in range((cursor or 0) + 1, 10):
                    if number in self.broken:
                        raise OSError("no page")
                    yield number, number

            def process(self, item: int) -> None:
                if self.run and not self.run.parent_id and item in (2, 5, 8):
                    raise ValueError("bad")
                Effect.objects.create(item=item)

        parent = Trial.run_now()
        Trial.broken = {5}
        run = retried(parent)
        assert counts(run) == (Status.ERRORED, 1, 0, 0)
        assert states(parent) == [RESOLVED, OPEN, OPEN]
        Trial.broken = set()
        run = resume(run)
        assert counts(run) == (Status.SUCCEEDED, 3, 0, 0)
        assert effects() == once(2, 5, 8)
        assert states(parent) == [RESOLVED] * 3


class TestStops:
    """A retrial is a run like any other: it stops, and goes on."""

    def test_an_error_of_the_collection_opens_all_again(
        self, faulty: Callable[..., Any]
    ) -> None:
        task = faulty(3, 7)
        parent = task.run_now()
        task.bad.clear()
        collection = task.collection

        def broken(self: Any) -> Any:
            raise ValueError("no collection")

        task.collection = broken
        run = retried(parent)
        assert counts(run) == (Status.ERRORED, 0, 0, 0)
        assert states(parent) == [OPEN] * 2
        task.collection = collection
        assert counts(resume(run)) == (Status.SUCCEEDED, 2, 0, 0)
        assert states(parent) == [RESOLVED] * 2

    def test_the_next_worker_goes_on_with_what_is_left(
        self, faulty: Callable[..., Any]
    ) -> None:
        task = faulty(*range(1, 6))
        parent = task.run_now()
        task.bad -= {1, 2, 4, 5}
        Effect.objects.all().delete()
        (run,) = parent.dead_letters.retry()
        stop = Interruption()
        process = task.process

        def process_and_stop(self: Any, item: Item) -> None:
            process(self, item)
            if item.pk == 2:
                stop.ask_to_stop("deploy")

        task.process = process_and_stop
        executor.execute(run.pk, run.lease_token, interruption=stop)
        assert states(parent) == [RESOLVED, RESOLVED, RETRYING, RETRYING, RETRYING]
        run = go_on(run)
        assert counts(run) == (Status.SUCCEEDED, 4, 1, 0)
        assert states(parent) == [RESOLVED, RESOLVED, OPEN, RESOLVED, RESOLVED]

    def test_what_failed_in_it_is_not_walked_again_when_it_is_resumed(
        self, known: Known, atomic: bool
    ) -> None:
        executed: list[int] = []

        def iterate(self: Any, cursor: int | None) -> Any:
            for number in range((cursor or 0) + 1, 10):
                if number in self.broken:
                    raise OSError("no page")
                yield number, number

        def process(self: Any, item: int) -> None:
            if item in self.bad:
                executed.append(item)
                raise ValueError("bad")

        task = known(
            type(
                "Trial",
                (Task,),
                {
                    "__qualname__": "f.<locals>.Trial",
                    "app_label": "testapp",
                    "atomic": atomic,
                    "on_error": [Quarantine(ValueError)],
                    "bad": {2, 5, 8},
                    "broken": set(),
                    "iterate": iterate,
                    "process": process,
                },
            )
        )
        parent = task.run_now()
        task.bad, task.broken = {2}, {8}
        run = retried(parent)
        assert counts(run) == (Status.ERRORED, 1, 1, 0)
        assert states(parent) == [OPEN, RESOLVED, OPEN]
        executed.clear()
        task.broken = set()
        assert counts(resume(run)) == (Status.SUCCEEDED, 2, 1, 0)
        assert states(parent) == [OPEN, RESOLVED, RESOLVED]
        assert executed == []

    @pytest.mark.parametrize("bad", [3, 20])
    def test_a_commit_whose_answer_is_lost_counts_once(
        self,
        faulty: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
        bad: int,
    ) -> None:
        task = faulty(3, 7, 20)
        parent = task.run_now()
        task.bad &= {bad}
        pass_over, answers = Settlement._pass_over, [InterfaceError("went dead")]

        def lose_the_answer(self: Settlement, verdict: Any) -> None:
            pass_over(self, verdict)
            if answers:
                raise answers.pop()

        monkeypatch.setattr(Settlement, "_pass_over", lose_the_answer)
        before = parent.dead_letters.get(item=f"testapp.Item {bad}").attempts
        run = retried(parent)
        assert counts(run) == (Status.SUCCEEDED, 2, 1, 0)
        letter = parent.dead_letters.get(state=OPEN)
        assert letter.item == f"testapp.Item {bad}"
        assert letter.attempts <= before + 2

    def test_a_worker_that_lost_the_run_resolves_nothing(
        self, faulty: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = faulty(3, 7)
        parent = task.run_now()
        task.bad.clear()
        (run,) = parent.dead_letters.retry()
        process = task.process

        def lose(self: Any, item: Item) -> None:
            process(self, item)
            Run.objects.filter(pk=run.pk).update(lease_token="another")

        monkeypatch.setattr(Claim, "renew", _lose)
        task.process, task.atomic = lose, True
        executor.execute(run.pk, run.lease_token)
        # In one transaction with the theft, which is rolled back as well.
        assert states(parent) == [RETRYING] * 2

    def test_a_report_is_sent_for_what_is_reported(
        self, faulty: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        task = faulty(3)
        parent = task.run_now()
        task.on_error = [Report(ValueError)]
        retried(parent)
        told = [e.getMessage() for e in caplog.records if e.levelno == logging.WARNING]
        assert any("testapp.Item 3 counts as failed" in each for each in told)


def _lose(self: Claim) -> None:
    raise LeaseLost("another worker has it")


class TestRate:
    """So many items a second, and no more."""

    @pytest.fixture
    def parent(self, faulty: Callable[..., Any]) -> Any:
        task = faulty(*range(1, 21))
        parent = task.run_now()
        task.bad.clear()
        return parent

    @pytest.mark.parametrize("rate", [0.5, 2, 5, 30])
    def test_is_held(self, parent: Run, rate: float, atomic: bool) -> None:
        begun = clock()
        run = retried(parent, rate=rate)
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        chunk = max(rate * (0.5 if atomic else 1), 1)
        longest = 20 / rate
        assert longest - (chunk + 1) / rate <= clock() - begun <= longest
        assert run.throttled_by == ""

    def test_counts_what_fails(self, faulty: Callable[..., Any], parent: Run) -> None:
        parent.task_class.bad.update(range(1, 21))  # type: ignore[attr-defined]
        begun = clock()
        assert counts(retried(parent, rate=1))[2] == 20
        assert round(clock() - begun, 6) >= 19

    def test_that_is_low_gives_the_worker_back(self, parent: Run) -> None:
        (run,) = parent.dead_letters.retry(rate=0.1)
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, 1)
        assert (run.throttled_by, run.throttled_reason) == (
            *("rate", "At most 0.1 items a second."),
        )
        assert run.run_after is not None
        assert states(parent).count(RETRYING) == 19

    def test_a_pause_is_heard_while_it_waits(
        self, parent: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (run,) = parent.dead_letters.retry(rate=0.5)

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            if Run.objects.get(pk=run.pk).status == Status.RUNNING:
                run.pause()

        monkeypatch.setattr(waiting, "sleep", sleep)
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.PAUSED, 1)


def test_a_letter_outlives_the_run_that_was_to_retry_it(
    faulty: Callable[..., Any],
) -> None:
    parent = faulty(3, 7).run_now()
    (retrial,) = parent.dead_letters.retry()
    Run.objects.filter(pk=retrial.pk).delete()  # by hand
    assert states(parent) == [OPEN] * 2
    assert len(parent.dead_letters.retry()) == 1


def test_an_item_that_holds_itself_can_be_retried(known: Known) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    mended: list[bool] = []

    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return [1, cycle, 2]

        def process(self, item: Any) -> None:
            if item is cycle and not mended:
                raise ValueError("bad")

    parent = Trial.run_now()
    mended.append(True)
    assert counts(retried(parent)) == (Status.SUCCEEDED, 1, 0, 0)
