"""The hooks and signals of a move: behind its commit, at least once, and harmless."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django import forms
from django.db import DatabaseError, connection, transaction
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.dispatch.queue import messages
from tests.execution.story import go_on, log_of, resume
from tests.execution.test_masks import SECRET, assert_nothing_is_told
from tests.execution.test_reporting import Reports, reports
from tests.registering import registered
from tests.runs.stages import claim
from tests.testapp.clock import clock
from tests.testapp.maintenance import Numbers
from upkeep import Job, Task, parameter, signals, throttle
from upkeep.databases import Now
from upkeep.dispatch.recovery import Swept, sweep
from upkeep.exceptions import MaskedError
from upkeep.execution import announcements
from upkeep.execution.claim import Claim
from upkeep.execution.executor import execute
from upkeep.execution.interruption import Interruption
from upkeep.models import Event, Run
from upkeep.runs.models import new_token
from upkeep.runs.status import Status

__all__ = ["reports"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

Known = Callable[[Any], Any]

HEARD: list[str] = []
GIVEN: list[Any] = []

HOOKS = [
    *("after_start", "after_pause", "after_interrupt", "after_cancel"),
    *("after_complete", "after_discard", "after_error"),
]
SIGNALS = {name: each for name, each in vars(signals).items() if name[:4] == "run_"}


def hear(name: str) -> Callable[..., None]:
    def heard(self: Task, *arguments: Any) -> None:
        assert not connection.in_atomic_block
        assert self.run is not None
        HEARD.append(name)
        GIVEN.append((self, self.run.status, self.run.done, *arguments))

    return heard


with registered():  # Known to the tests of this file alone; see below.

    class Trial(Task):
        """Walk to a number, by ones."""

        up_to: int = parameter(forms.IntegerField(initial=3))
        app_label = "testapp"
        concurrency = None

        def collection(self) -> Any:
            return range(1, 4)

        def process(self, number: int) -> None:
            clock.tick()
            if number > self.up_to:
                raise ValueError(f"{number} is too much")


for hook in HOOKS:
    setattr(Trial, hook, hear(hook))


@contextmanager
def connected(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


@pytest.fixture(autouse=True)
def heard(still_clock: None) -> Iterator[list[str]]:
    """Return what was heard of runs, in its order."""
    HEARD.clear()
    GIVEN.clear()
    with ExitStack() as stack:
        stack.enter_context(registered({"tests.Trial": Trial}))
        for name, signal in SIGNALS.items():
            stack.enter_context(connected(signal, listen(name)))
        yield HEARD


def listen(name: str) -> Callable[..., None]:
    def receive(sender: type[Run], run: Run, signal: Signal, **given: Any) -> None:
        assert not connection.in_atomic_block
        assert sender is Run
        GIVEN.append((name, run.status, run.done, *given.values()))
        HEARD.append(name)

    return receive


def long_after() -> None:
    Event.objects.filter(announce_at__isnull=False).update(announce_at=Now())


def take(run: Run) -> Claim:
    """Take a run up as a worker that will tell nobody: it dies before."""
    HEARD.clear()
    return claim(run)


class TestEachMove:
    def test_from_its_start_to_its_end(self, heard: list[str]) -> None:
        Trial.run_now()
        assert heard == [
            *("run_enqueued", "after_start", "run_started"),
            *("after_complete", "run_succeeded"),
        ]

    def test_by_a_worker_that_a_person_stops(
        self, known: Known, heard: list[str]
    ) -> None:
        @known
        class Steered(Trial):
            verb: str = parameter(forms.CharField())

            def process(self, number: int) -> None:
                getattr(Run.objects.get(), self.verb)()
                clock.tick()

        go_on(Steered.enqueue(verb="pause"))
        assert heard[3:] == ["after_pause", "run_paused"]
        heard.clear()
        Run.objects.all().delete()
        go_on(Steered.enqueue(verb="cancel"))
        assert heard[3:] == ["after_cancel", "run_cancelled"]

    def test_by_a_person_where_no_worker_holds_it(self, heard: list[str]) -> None:
        run = Trial.enqueue()
        run.pause()
        run.resume()
        run.cancel()
        assert heard == [
            *("run_enqueued", "after_pause", "run_paused", "run_resumed"),
            *("after_cancel", "run_cancelled"),
        ]

    def test_by_an_error(self, heard: list[str]) -> None:
        Trial.run_now(up_to=1)
        assert heard[3:] == ["after_error", "run_errored"]
        (_, _, done, error), (_, _, _, also) = GIVEN[-2:]
        assert done == 1
        assert isinstance(error, ValueError)
        assert error is also

    def test_that_lets_go(self, heard: list[str]) -> None:
        run = Trial.enqueue()
        executor_told_to_stop(run)
        assert heard[1:] == [
            *("after_start", "run_started", "after_interrupt", "run_interrupted"),
        ]

    def test_that_a_throttle_wants(self, known: Known, heard: list[str]) -> None:
        @known
        class Gated(Trial):
            @throttle(backoff=timedelta(minutes=1))
            def busy(self) -> bool:
                return True

        work_at(Gated.enqueue())
        assert heard[3:] == ["after_interrupt", "run_interrupted"]
        assert GIVEN[-2][0].run.throttled_by == "busy"

    def test_when_its_time_is_up(self, known: Known, heard: list[str]) -> None:
        @known
        class Short(Trial):
            time_budget = timedelta(microseconds=1)
            chunk = timedelta(microseconds=1)

        work_at(Short.enqueue())
        assert heard[3:] == ["after_interrupt", "run_interrupted"]

    def test_that_discards(self, heard: list[str]) -> None:
        take(Trial.enqueue()).end(Status.DISCARDED)
        long_after()
        sweep()
        assert heard[-2:] == ["after_discard", "run_discarded"]


def work_at(run: Run) -> None:
    """Be the one worker that reads the run's message."""
    execute(run.pk, run.lease_token)


def executor_told_to_stop(run: Run) -> None:
    def stop(self: Task, number: int) -> None:
        interruption.ask_to_stop("A deploy.")

    interruption = Interruption()
    with mock.patch.object(Trial, "process", stop):
        execute(run.pk, run.lease_token, interruption=interruption)


def test_the_start_is_told_once_and_a_resume_as_such(heard: list[str]) -> None:
    run = Trial.run_now(up_to=1)
    heard.clear()
    resume(run)
    assert heard == ["run_resumed", "after_error", "run_errored"]


def test_a_pause_taken_back_is_told_as_a_resume(heard: list[str]) -> None:
    run = Trial.enqueue()
    take(run)
    run.pause()
    assert heard == []
    run.resume()
    assert heard == ["run_resumed"]


class TestCancel:
    """The hook is chosen by what became of the run, and not by what was wanted."""

    def test_that_meets_an_interruption_is_told_alone(self, heard: list[str]) -> None:
        held = take(run := Trial.enqueue())
        run.cancel()
        held.let_go(reason="A deploy.")
        long_after()
        sweep()
        assert heard[2:] == ["after_cancel", "run_cancelled"]

    def test_that_meets_the_end_is_too_late(self, heard: list[str]) -> None:
        held = take(run := Trial.enqueue())
        run.cancel()
        held.end(Status.SUCCEEDED)
        long_after()
        sweep()
        assert heard[2:] == ["after_complete", "run_succeeded"]


def test_the_message_to_the_next_worker_is_sent_once_and_with_the_move(
    known: Known,
) -> None:
    """A hook that takes long, or kills its worker, keeps nobody waiting."""

    @known
    class Looks(Trial):
        def after_interrupt(self) -> None:
            GIVEN.append(messages())

    run = Looks.enqueue()
    first = messages()
    executor_told_to_stop(run)
    run.refresh_from_db()
    (seen,) = [given for given in GIVEN if isinstance(given, list)]
    assert seen == [*first, [run.pk, run.lease_token]] == messages()


def test_numbers_and_status_are_fresh() -> None:
    Trial.run_now()
    assert [given[1:3] for given in GIVEN] == [
        *[("enqueued", 0), ("running", 0), ("running", 0)],
        *[("succeeded", 3), ("succeeded", 3)],
    ]


def test_the_time_is_that_behind_the_move() -> None:
    told = []

    def note(run: Run, **given: Any) -> None:
        told.append(run.time_running)

    with connected(signals.run_succeeded, note):
        run = Trial.run_now()
    assert told == [run.time_running]
    assert run.time_running >= timedelta(seconds=20)  # Of each item it is ten.


def test_a_hook_far_from_a_worker_has_the_stored_parameters() -> None:
    Trial.enqueue(up_to=17).pause()
    ((task, status, *_),) = [given for given in GIVEN if isinstance(given[0], Task)]
    assert task.up_to == 17
    assert status == Status.PAUSED


class TestHostsTransaction:
    def test_is_waited_for(self, heard: list[str]) -> None:
        with transaction.atomic():
            Trial.enqueue().pause()
            assert heard == []
        assert heard == ["run_enqueued", "after_pause", "run_paused"]

    def test_that_is_rolled_back_is_told_to_nobody(self, heard: list[str]) -> None:
        with transaction.atomic():
            Trial.enqueue().pause()
            transaction.set_rollback(True)
        long_after()
        sweep()
        assert heard == []


class TestFailing:
    def test_a_hook_is_reported_and_changes_nothing(
        self, heard: list[str], reports: Reports, known: Known
    ) -> None:
        @known
        class Fails(Trial):
            def after_complete(self) -> None:
                raise OSError("no network")

        run = Fails.run_now()
        assert run.status == Status.SUCCEEDED
        assert heard[-1] == "run_succeeded"
        ((error, context),) = reports
        assert isinstance(error, OSError)
        assert (context["done"], context["handled"]) == (3, False)

    def test_one_of_an_error_leaves_the_error_that_stopped_the_run(
        self, heard: list[str], reports: Reports, known: Known
    ) -> None:
        @known
        class Fails(Trial):
            def after_error(self, error: BaseException | None) -> None:
                raise OSError("no network")

        run = Fails.run_now(up_to=1)
        assert (run.status, run.error_message) == (Status.ERRORED, "2 is too much")
        assert heard[-1] == "run_errored"
        assert [type(error) for error, _ in reports] == [ValueError, OSError]

    def test_a_receiver_keeps_none_of_the_others(
        self, heard: list[str], reports: Reports, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(**given: Any) -> None:
            raise OSError("no network")

        behind = listen("behind")
        with (
            connected(signals.run_started, fails),
            connected(signals.run_started, behind),
        ):
            run = Trial.run_now()
        assert run.status == Status.SUCCEEDED
        assert "behind" in heard
        assert len(reports) == 1
        assert "fails() for run" in caplog.text

    @pytest.mark.parametrize("hook", ["after_start", "after_complete", "after_pause"])
    def test_one_that_exits_ends_nothing(
        self, hook: str, known: Known, heard: list[str], reports: Reports
    ) -> None:
        class Exits(Trial):
            pass

        setattr(Exits, hook, lambda self: sys.exit(3))
        known(Exits)
        Exits.enqueue().pause()
        assert Exits.run_now().status == Status.SUCCEEDED
        assert [type(error) for error, _ in reports] == [SystemExit]
        assert not Event.objects.filter(announce_at__isnull=False)

    def test_one_that_failed_is_not_called_again(
        self, known: Known, reports: Reports
    ) -> None:
        @known
        class Fails(Trial):
            def after_complete(self) -> None:
                raise OSError("no network")

        Fails.run_now()
        long_after()
        assert sweep() == Swept()
        assert len(reports) == 1

    def test_it_tells_no_secret(
        self, known: Known, reports: Reports, caplog: pytest.LogCaptureFixture
    ) -> None:
        @known
        class Fails(Trial):
            key: str = parameter(forms.CharField())
            masked = ("key",)

            def after_pause(self) -> None:
                raise OSError(self.key)

        Fails.enqueue(key=SECRET).pause()
        ((error, _),) = reports
        assert isinstance(error, MaskedError)
        assert_nothing_is_told(f"{error}{caplog.text}")


def test_receivers_are_not_told_the_secrets_of_an_error(known: Known) -> None:
    @known
    class Tells(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> None:
            raise ValueError(self.key)

        def after_error(self, error: BaseException | None) -> None:
            GIVEN.append(error)

    Tells.run_now(key=SECRET)
    in_the_task, (*_, outside) = GIVEN[-2:]
    assert str(in_the_task) == SECRET
    assert isinstance(outside, MaskedError)
    assert_nothing_is_told(str(outside))


def test_a_task_that_is_gone_is_passed_over_and_signals_are_sent(
    heard: list[str], reports: Reports
) -> None:
    run = Trial.enqueue()
    Run.objects.update(task="testapp.Gone")
    run.pause()
    assert heard == ["run_enqueued", "run_paused"]
    go_on_errored = resume(run)
    assert go_on_errored.status == Status.ERRORED
    assert heard[2:] == ["run_resumed", "run_started", "run_errored"]
    assert len(reports) == 1  # The error of the run.


class TestWhatIsLeft:
    """Whoever made the move died behind its commit."""

    def test_is_called_by_the_sweep_once(self, heard: list[str]) -> None:
        take(Trial.enqueue()).end(Status.SUCCEEDED)
        assert sweep() == Swept()  # It may only be slow.
        long_after()
        assert sweep() == Swept(announced=2)
        assert heard == [
            *("after_start", "run_started", "after_complete", "run_succeeded"),
        ]
        long_after()
        assert sweep() == Swept()

    def test_the_error_itself_is_gone(self, heard: list[str]) -> None:
        take(Trial.enqueue()).end(Status.ERRORED, error_message="No.")
        long_after()
        sweep()
        (task, _, _, error), (_, _, _, also) = GIVEN[-2:]
        assert error is also is None
        assert task.run.error_message == "No."

    def test_of_a_start_is_called_by_the_next_worker(self, heard: list[str]) -> None:
        run = Trial.enqueue()
        take(run).let_go(reason="It died.")
        go_on(run)
        assert heard[:2] == ["after_start", "run_started"]
        assert heard.count("after_start") == 1

    def test_of_a_start_is_left_to_the_worker_that_holds_the_run(
        self, heard: list[str]
    ) -> None:
        take(Trial.enqueue())
        long_after()
        assert sweep() == Swept()
        assert heard == []

    def test_is_told_by_the_first_who_takes_it(self, heard: list[str]) -> None:
        take(Trial.enqueue()).end(Status.SUCCEEDED)
        first, *_ = Event.objects.filter(status=Status.SUCCEEDED)
        (second,) = Event.objects.filter(status=Status.SUCCEEDED)
        assert announcements.announce(first)
        assert not announcements.announce(second)
        assert heard == ["after_complete", "run_succeeded"]

    def test_waits_for_a_database_that_is_away(
        self, heard: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as away:
            away.setattr(announcements, "_take", mock.Mock(side_effect=DatabaseError))
            run = Trial.run_now()
        assert run.status == Status.SUCCEEDED
        assert heard == []
        long_after()
        assert sweep() == Swept(announced=3)


def test_a_hook_that_takes_longer_than_a_lease_is_called_once(
    known: Known, settings: Settings
) -> None:
    lease = 1.5
    settings.UPKEEP = {"LEASE": timedelta(seconds=lease)}

    @known
    class Slow(Trial):
        def after_complete(self) -> None:
            HEARD.append("after_complete")
            until = time.monotonic() + 3 * lease
            while HEARD.count("after_complete") == 1 and time.monotonic() < until:
                sweep()
                time.sleep(lease / 10)

    Slow.run_now()
    assert HEARD.count("after_complete") == 1
    assert not Event.objects.filter(announce_at__isnull=False).exists()


def test_a_worker_that_lost_its_lease_calls_no_hook(
    heard: list[str], known: Known
) -> None:
    @known
    class Overtaken(Trial):
        def process(self, number: int) -> None:
            Run.objects.update(lease_token=new_token())

    run = Overtaken.enqueue()
    go_on(run)
    assert heard == ["run_enqueued", "after_start", "run_started"]


def test_what_a_hook_logs_is_kept(known: Known) -> None:
    @known
    class Talks(Trial):
        def after_start(self) -> None:
            self.log("Off we go.")  # And if the first chunk is not kept, it is.

        def after_error(self, error: BaseException | None) -> None:
            self.log("Oh no.")

        def process(self, number: int) -> None:
            raise ValueError("No.")

    run = Talks.run_now()
    assert log_of(run) == ["Off we go.", "Oh no."]
    run.refresh_from_db()
    assert run.logged == 2


def test_each_stop_keeps_its_cursor() -> None:
    run = Trial.run_now(up_to=1)
    place = run.cursor
    resume(run)
    run.refresh_from_db()
    with mock.patch.object(Trial, "process"):
        resume(run)
    stops = run.events.filter(cursor__isnull=False)
    assert [(each.status, each.cursor) for each in stops] == [
        *[("errored", place), ("errored", place)],
        ("succeeded", Run.objects.get().cursor),
    ]


def test_a_move_that_nobody_wants_to_hear_of_costs_nothing() -> None:
    with ExitStack() as stack:
        for signal in SIGNALS.values():
            stack.enter_context(mock.patch.object(signal, "receivers", []))
            signal.sender_receivers_cache.clear()
        queries = stack.enter_context(CaptureQueriesContext(connection))
        Numbers.run_now()
    about_events = [each for each in queries if "upkeep_event" in each["sql"]]
    assert len(about_events) == 3  # Each move is inserted, and that is all.


@pytest.mark.parametrize("chunks", [1, 3])
def test_chunks_cost_no_statement_more(chunks: int) -> None:
    with (
        mock.patch.object(Trial, "collection", return_value=range(chunks)),
        CaptureQueriesContext(connection) as queries,
    ):
        Trial.run_now()
    about_events = [each for each in queries if "upkeep_event" in each["sql"]]
    # Each of the three moves is inserted, read, taken and told; of two one asks if they
    # are the first of their kind.
    assert len(about_events) == 3 * 4 + 2
