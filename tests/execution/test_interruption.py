"""Whoever wants a run to stop is heard after the item in hand."""

from __future__ import annotations

import signal
import threading
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import timedelta
from types import FrameType
from typing import Any
from unittest import mock

import pytest
from django.db import connections
from pytest_django import Settings

from tests.dispatch.queue import messages
from tests.execution.story import effects, go_on, once
from tests.integration.harness import faults
from tests.testapp.clock import clock
from tests.testapp.maintenance import CountUp, CountUpInChunks
from tests.testapp.models import Effect, Item
from upkeep import Task
from upkeep.execution import executor
from upkeep.execution.claim import Claim
from upkeep.execution.interruption import Interruption
from upkeep.models import Run
from upkeep.runs.status import Status

Known = Callable[[Any], Any]
Act = Callable[[Run], object]

pytestmark = pytest.mark.usefixtures("items", "still_clock")


@pytest.fixture
def at_item(known: Known) -> Callable[..., type[Task]]:
    """Return a maker of tasks in chunks of ten, in which something happens once."""

    def make(key: int, act: Act, **attributes: Any) -> type[Task]:
        happened: list[Item] = []

        class Trial(CountUpInChunks):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == key and not happened:
                    happened.append(item)
                    assert self.run
                    act(copy(self.run))  # To read it here would lock it.

        for name, value in attributes.items():
            setattr(Trial, name, value)
        return known(Trial)  # type: ignore[no-any-return]

    return make


class TestWish:
    """A person's wish is granted at the end of the chunk."""

    @pytest.mark.parametrize("atomic", [True, False])
    @pytest.mark.parametrize(
        ("wish", "status"),
        [(Run.pause, Status.PAUSED), (Run.cancel, Status.CANCELLED)],
    )
    def test_it_stops_the_run(
        self, at_item: Any, wish: Act, status: Status, atomic: bool
    ) -> None:
        run = at_item(3, wish, atomic=atomic).run_now()
        assert (run.status, run.done) == (status, 10)
        assert effects() == once(*range(1, 11))
        assert not messages()

    @pytest.mark.parametrize(
        ("wish", "status"),
        [(Run.pause, Status.PAUSED), (Run.cancel, Status.CANCELLED)],
    )
    def test_between_the_claim_and_the_first_item_no_item_is_worked_on(
        self, wish: Act, status: Status
    ) -> None:
        run = CountUp.enqueue()
        claim = Claim.take(run.pk, run.lease_token)
        assert claim
        wish(Run.objects.get(pk=run.pk))
        with mock.patch.object(Claim, "take", return_value=claim):
            executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.ended_at is not None) == (
            status,
            status is Status.CANCELLED,
        )
        assert effects() == {}

    @pytest.mark.parametrize(
        ("wish", "status"),
        [(Run.pause, Status.PAUSED), (Run.cancel, Status.CANCELLED)],
    )
    def test_that_comes_while_the_worker_lets_go_is_granted(
        self, wish: Act, status: Status
    ) -> None:
        def look(self: Claim) -> Status:
            seen = look_up(self)
            if seen is Status.RUNNING:
                wish(Run.objects.get(pk=self.run.pk))
            return seen

        look_up = Claim.wish
        run = CountUp.enqueue()
        interruption = Interruption()
        interruption.ask_to_stop("A deploy.")
        with mock.patch.object(Claim, "wish", look):
            executor.execute(run.pk, run.lease_token, interruption=interruption)
        run.refresh_from_db()
        assert run.status == status

    def test_is_looked_for_once_a_chunk_and_not_at_each_item(self) -> None:
        with mock.patch.object(Claim, "wish", autospec=True, side_effect=Claim.wish):
            assert faults(CountUp.run_now()) == []
            assert Claim.wish.call_count <= 2  # type: ignore[attr-defined]

    def test_a_paused_run_goes_on_from_its_place(self, at_item: Any) -> None:
        run = at_item(3, Run.pause).run_now()
        run.resume()
        assert faults(go_on(run)) == []

    @pytest.mark.parametrize("wish", [Run.pause, Run.cancel])
    @pytest.mark.parametrize("batch_size", [7, 20, 100])
    def test_during_the_last_item_the_run_has_succeeded(
        self, at_item: Any, wish: Act, batch_size: int
    ) -> None:
        """Also where the last page is exactly full: that it is the last is known."""
        task = at_item(20, wish, batch_size=batch_size)
        assert faults(task.run_now()) == []

    def test_a_pause_that_is_taken_back_changes_nothing(self, at_item: Any) -> None:
        def waver(run: Run) -> None:
            run.pause()
            run.resume()

        assert faults(at_item(3, waver).run_now()) == []

    def test_a_pause_that_is_taken_back_at_the_last_moment_changes_nothing(
        self, at_item: Any
    ) -> None:
        def look(self: Claim) -> Status:
            status = wish(self)
            if status is Status.PAUSING:
                Run.objects.get(pk=self.run.pk).resume()
            return status

        wish = Claim.wish
        with mock.patch.object(Claim, "wish", look):
            run = at_item(3, Run.pause).run_now()
        assert faults(run) == []
        assert run.attempts == 1

    def test_the_reason_of_the_person_stays(self, at_item: Any) -> None:
        run = at_item(3, lambda run: run.pause(reason="The disk is full.")).run_now()
        assert (run.status, run.reason) == (Status.PAUSED, "The disk is full.")

    def test_an_error_comes_before_a_pause(self, at_item: Any) -> None:
        def pause_and_fail(run: Run) -> None:
            run.pause()
            raise ValueError("no")

        run = at_item(3, pause_and_fail, atomic=False).run_now()
        assert (run.status, run.error_message) == (Status.ERRORED, "no")

    def test_another_session_is_heard_while_a_chunk_is_worked_on(
        self, at_item: Any, on_a_server: None, isolation: str
    ) -> None:
        """Where it makes the checkpoint fail, the chunk is done again after it."""

        def pause_elsewhere(run: Run) -> None:
            thread = threading.Thread(target=pause_in_thread, args=[run])
            thread.start()
            thread.join()

        run = at_item(3, pause_elsewhere).run_now()
        assert run.status == Status.PAUSED
        assert run.done in (0, 10)
        assert effects() == once(*range(1, run.done + 1))
        run.resume()
        assert faults(go_on(run)) == []


def pause_in_thread(run: Run) -> None:
    run.pause()
    connections.close_all()


class TestTimeBudget:
    """A run that has used up its time gives its worker back, and goes on later."""

    @pytest.fixture
    def task(self, known: Known) -> type[Task]:
        class Trial(CountUp):
            time_budget = timedelta(seconds=35)

            def process(self, item: Item) -> None:
                super().process(item)
                clock.tick()  # ten seconds

        return known(Trial)  # type: ignore[no-any-return]

    def test_it_is_interrupted_with_a_message_for_the_next_worker(
        self, task: type[Task]
    ) -> None:
        run = task.enqueue()
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, 4)
        assert run.reason == "Its time was up; it goes on with the next message."
        assert messages()[-1] == [run.pk, run.lease_token]

    @pytest.mark.parametrize(
        ("of_the_task", "done"),
        [(None, 2), (timedelta(seconds=35), 4), (timedelta(seconds=5), 1)],
    )
    def test_that_of_the_task_comes_before_that_of_the_settings(
        self,
        task: type[Task],
        settings: Settings,
        of_the_task: timedelta | None,
        done: int,
    ) -> None:
        task.time_budget = of_the_task
        settings.UPKEEP = {"TIME_BUDGET": timedelta(seconds=15)}
        run = task.enqueue()
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, done)

    def test_it_goes_on_with_message_after_message(self, task: type[Task]) -> None:
        run = task.enqueue()
        turns = 0
        while run.is_active:
            executor.execute(run.pk, run.lease_token)
            run.refresh_from_db()
            turns += 1
        assert faults(run) == []
        assert (turns, run.attempts) == (5, 5)

    def test_one_that_is_worked_to_its_end_has_none(self, task: type[Task]) -> None:
        run = task.run_now()
        assert (faults(run), run.attempts) == ([], 1)

    def test_however_short_it_is_a_chunk_is_done(self, task: type[Task]) -> None:
        task.time_budget = timedelta(microseconds=1)
        run = task.enqueue()
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert run.done == 1


class TestSignals:
    """The first signal stops a run politely, the second one at once."""

    def test_the_run_stops_after_the_item_in_hand(self, at_item: Any) -> None:
        run = at_item(3, lambda run: terminate()).enqueue()
        with worker() as (interruption, heard):
            executor.execute(run.pk, run.lease_token, interruption=interruption)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, 3)
        assert run.reason == "Its worker was told to stop (SIGTERM)."
        assert messages()[-1] == [run.pk, run.lease_token]
        assert len(heard) == 1  # The worker's own handler, too.
        assert faults(go_on(run)) == []

    def test_a_second_one_rolls_the_chunk_back(self, at_item: Any) -> None:
        def twice(run: Run) -> None:
            terminate()
            terminate()

        run = at_item(13, twice).enqueue()
        with worker() as (interruption, _heard), pytest.raises(SystemExit):
            executor.execute(run.pk, run.lease_token, interruption=interruption)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, 10)
        assert run.reason == "Its worker was ended at once."
        assert effects() == once(*range(1, 11))
        assert messages()[-1] == [run.pk, run.lease_token]
        assert faults(go_on(run)) == []

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("atomic", [True, False])
    def test_an_end_at_once_is_no_error_of_the_run(
        self, at_item: Any, error: type[BaseException], atomic: bool
    ) -> None:
        def leave(run: Run) -> None:
            interruption.ask_to_stop("A deploy.")
            raise error

        run = at_item(13, leave, atomic=atomic).enqueue()
        interruption = Interruption()
        with pytest.raises(error):
            executor.execute(run.pk, run.lease_token, interruption=interruption)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, 10)
        assert go_on(run).status == Status.SUCCEEDED
        assert set(effects()) == set(range(1, 21))

    def test_an_end_at_once_behind_the_last_item_of_a_page_is_none_either(
        self,
    ) -> None:
        """A signal comes when it comes: here between two items."""

        class Late(Interruption):
            def __getattribute__(self, name: str) -> Any:
                found = super().__getattribute__(name)
                if name == "asked" and not found and Effect.objects.count() == 20:
                    self.__dict__["asked"] = "A deploy."
                    raise SystemExit
                return found

        run = CountUp.enqueue()
        with pytest.raises(SystemExit):
            executor.execute(run.pk, run.lease_token, interruption=Late())
        run.refresh_from_db()
        assert run.status == Status.INTERRUPTED
        assert faults(go_on(run)) == []

    @pytest.mark.parametrize(
        "error", [SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError]
    )
    @pytest.mark.parametrize("atomic", [True, False])
    def test_an_exit_that_nobody_asked_for_is_an_error_of_the_task(
        self, known: Known, error: type[BaseException], atomic: bool
    ) -> None:
        """Otherwise it would exit again with each message, for ever."""

        class Trial(CountUpInChunks):
            def process(self, item: Item) -> None:
                if item.pk == 13:
                    raise error("Good bye.")
                super().process(item)

        Trial.atomic = atomic
        run = known(Trial).enqueue()
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.ERRORED, 12)
        assert run.error_class.endswith(error.__name__)
        assert "(at " in run.reason
        assert effects() == once(*range(1, 13))

    def test_ctrl_c_in_run_now_is_heard(self, at_item: Any) -> None:
        def leave(run: Run) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            at_item(13, leave).run_now()
        assert Run.objects.get().status == Status.INTERRUPTED

    def test_a_run_that_is_not_begun_is_left_for_another(self, at_item: Any) -> None:
        run = at_item(3, lambda run: None).enqueue()
        interruption = Interruption()
        interruption.ask_to_stop("A deploy is under way.")
        executor.execute(run.pk, run.lease_token, interruption=interruption)
        run.refresh_from_db()
        assert (run.status, run.done, run.reason) == (
            Status.INTERRUPTED,
            0,
            "A deploy is under way.",
        )
        assert effects() == {}

    def test_the_first_reason_counts(self) -> None:
        interruption = Interruption()
        interruption.ask_to_stop("one")
        interruption.ask_to_stop("two")
        assert interruption.reason() == "one"

    def test_handlers_are_given_back(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with Interruption().by_signals(signal.SIGTERM):
            assert signal.getsignal(signal.SIGTERM) != before
        assert signal.getsignal(signal.SIGTERM) == before

    def test_a_thread_hears_none_and_works_all_the_same(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        seen: list[Any] = []

        def work() -> None:
            with Interruption().by_signals(signal.SIGTERM):
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [before]


def terminate() -> None:
    """Send this process the signal that ends workers."""
    signal.raise_signal(signal.SIGTERM)


@contextmanager
def worker() -> Iterator[tuple[Interruption, list[int]]]:
    """Listen to SIGTERM as the workers of queues do: the second one ends all."""
    heard: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise SystemExit

    previous = signal.signal(signal.SIGTERM, handle)
    interruption = Interruption()
    try:
        with interruption.by_signals(signal.SIGTERM):
            yield interruption, heard
    finally:
        signal.signal(signal.SIGTERM, previous)
