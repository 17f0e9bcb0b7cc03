"""A run waits while a throttle holds, and costs nobody anything meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from django.db import InterfaceError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.dispatch.queue import messages
from tests.execution.story import effects, go_on, once
from tests.integration.harness import faults
from tests.testapp.clock import clock
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Effect, Item
from upkeep import Job, Task, Throttle, throttle
from upkeep.databases import Now
from upkeep.execution import executor, failures, throttling, waiting
from upkeep.execution.claim import Claim
from upkeep.execution.interruption import Interruption
from upkeep.models import Run
from upkeep.port import port
from upkeep.runs.status import Status
from upkeep.runs.why import why
from upkeep.runs.words import moment

Known = Callable[[Any], Any]
Act = Callable[[Run], object]

pytestmark = pytest.mark.usefixtures("items", "still_clock")

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Gate(Throttle):
    """Hold as it is told, by the number of items done; note when it is asked."""

    name = "gate"
    every = timedelta(0)

    def __init__(self, says: Any = None, **terms: Any) -> None:
        self.says = says
        self.asked: list[float] = []
        self.done: list[int] = []
        vars(self).update(terms)

    def check(self, task: Any) -> object:
        self.asked.append(clock())
        self.done.append(Effect.objects.count())
        return self.says(self) if callable(self.says) else self.says


@pytest.fixture
def gated(known: Known) -> Callable[..., type[Task]]:
    """Return a maker of tasks that heed a gate, with items that take so long."""

    def make(gate: Throttle, *, seconds: float = 0, **attributes: Any) -> type[Task]:
        class Trial(CountUp):
            throttles = [gate]

            def process(self, item: Item) -> None:
                super().process(item)
                clock.sleep(seconds)

        for name, value in attributes.items():
            setattr(Trial, name, value)
        return known(Trial)  # type: ignore[no-any-return]

    return make


def advance(run: Run, **options: Any) -> Run:
    """Be a worker that reads the run's message."""
    executor.execute(run.pk, run.lease_token, **options)
    run.refresh_from_db()
    return run


def let_time_pass(run: Run) -> Run:
    """Let the moment come at which the run looks again."""
    Run.objects.filter(pk=run.pk).update(run_after=Now())
    run.refresh_from_db()
    return run


class TestAsked:
    @pytest.mark.parametrize("atomic", [True, False])
    def test_before_the_first_item_and_again_before_each(
        self, gated: Any, atomic: bool
    ) -> None:
        run = gated(gate := Gate(), atomic=atomic).run_now()
        assert faults(run) == []
        assert gate.done == list(range(20))

    def test_by_a_fast_task_no_more_often_than_it_wants(self, gated: Any) -> None:
        run = gated(gate := Gate(every=SECOND), seconds=0.125).run_now()
        assert faults(run) == []
        assert gate.done == [0, 8, 16]

    def test_by_a_slow_task_before_each_item(self, gated: Any) -> None:
        run = gated(gate := Gate(every=SECOND), seconds=10).run_now()
        assert faults(run) == []
        assert gate.done == list(range(20))

    def test_in_the_midst_of_what_would_be_a_chunk(self, gated: Any) -> None:
        short = timedelta(seconds=0.0625)
        gate = Gate(every=2 * short)
        gated(gate, seconds=short.total_seconds()).run_now()
        assert gate.done == list(range(0, 20, 2))

    def test_where_what_was_done_is_committed(self, gated: Any) -> None:
        """A replica has it then, and an error of the throttle spoils nothing."""
        places = []

        def look(gate: Gate) -> None:
            assert not connection.in_atomic_block
            places.append(Run.objects.get().done)

        gated(Gate(look)).run_now()
        assert places == list(range(20))

    def test_not_at_all_behind_the_last_item(self, gated: Any) -> None:
        run = gated(Gate(lambda gate: gate.done[-1] == 20)).run_now()
        assert faults(run) == []

    def test_in_their_order_until_one_holds(self, gated: Any) -> None:
        first, second = Gate(name="a"), Gate(True, name="b", backoff=MINUTE)
        third = Gate(name="c")
        run = gated(first)
        run.throttles = [first, second, third]
        run = advance(run.enqueue())
        assert (len(first.asked), len(second.asked), len(third.asked)) == (1, 1, 0)
        assert run.throttled_by == "b"

    def test_by_a_method_with_the_parameters(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            limit = 3

            @throttle(backoff=MINUTE, every=timedelta(0))
            def enough(self) -> str | None:
                is_enough = Effect.objects.count() == self.limit
                return f"{self.limit} are enough" if is_enough else None

        run = advance(Trial.enqueue())
        assert (run.done, run.throttled_by) == (3, "enough")
        assert run.throttled_reason == "3 are enough"

    def test_by_a_job_before_its_step(self, known: Known) -> None:
        @known
        class Trial(Job):
            throttles = [gate := Gate(True, backoff=MINUTE)]

            def perform(self) -> int:
                return 7

        run = advance(Trial.enqueue())
        assert (run.status, run.done) == (Status.INTERRUPTED, 0)
        Trial.gate.says = None
        assert go_on(let_time_pass(run)).result == 7

    def test_one_that_lets_go_costs_no_query(self, gated: Any) -> None:
        def queries_with(*throttles: Throttle) -> int:
            task.throttles = throttles
            Effect.objects.all().delete()
            with CaptureQueriesContext(connection) as queries:
                advance(task.enqueue())
            return len(queries)

        task = gated(Gate())
        assert queries_with(mock.Mock(Gate, **TERMS)) == queries_with()


TERMS = {"name": "mute", "every": SECOND, "check.return_value": None}


def holds_at(*places: int) -> Callable[[Gate], object]:
    """Return what a gate says that closes once at each of these places."""
    left = list(places)

    def say(gate: Gate) -> object:
        if left and gate.done[-1] == left[0]:
            del left[0]
            return "40 s behind."
        return None

    return say


class TestWaiting:
    """The worker is given back until the backoff is over."""

    @pytest.fixture
    def gate(self) -> Gate:
        return Gate(holds_at(5, 5, 12), backoff=5 * MINUTE)

    @pytest.mark.parametrize("atomic", [True, False])
    def test_it_is_interrupted_at_its_place_and_tells_why(
        self, gated: Any, gate: Gate, atomic: bool
    ) -> None:
        begun = timezone.now()
        run = advance(gated(gate, atomic=atomic).enqueue())
        assert (run.status, run.done) == (Status.INTERRUPTED, 5)
        assert effects() == once(*range(1, 6))
        assert (run.throttled_by, run.throttled_reason) == ("gate", "40 s behind.")
        assert run.reason == "Throttled by gate: 40 s behind."
        assert run.run_after
        assert run.throttled_since
        waits = run.run_after - run.throttled_since
        assert abs(waits - 5 * MINUTE) < SECOND
        assert abs(run.throttled_since - begun) < MINUTE
        assert why(run) == (
            f"Throttled by gate since {moment(run.throttled_since)}: 40 s behind. It "
            f"looks again at {moment(run.run_after)}."
        )

    def test_no_worker_takes_it_up_before(self, gated: Any, gate: Gate) -> None:
        run = advance(gated(gate).enqueue())
        assert executor.execute(run.pk, run.lease_token) is None

    def test_it_goes_on_from_its_place_when_the_throttle_lets_go(
        self, gated: Any, gate: Gate
    ) -> None:
        run = gated(gate).enqueue()
        while advance(run).is_active:
            let_time_pass(run)
        assert faults(run) == []
        assert (run.attempts, run.throttled_by) == (4, "")
        assert (run.throttled_reason, run.throttled_since) == ("", None)

    def test_since_is_kept_while_the_same_throttle_holds(
        self, gated: Any, gate: Gate
    ) -> None:
        run = advance(gated(gate).enqueue())
        first = run.throttled_since
        assert advance(let_time_pass(run)).done == 5
        assert run.throttled_since == first
        assert advance(let_time_pass(run)).done == 12
        assert run.throttled_since != first

    def test_the_row_says_nothing_more_when_it_goes_on(self, gated: Any) -> None:
        told: list[str] = []

        def say(gate: Gate) -> object:
            told.append(Run.objects.get().throttled_by)
            return len(told) == 2

        run = advance(gated(Gate(say, backoff=MINUTE)).enqueue())
        advance(let_time_pass(run))
        assert told[:4] == ["", "", "gate", ""]

    def test_a_wait_costs_one_message(self, gated: Any) -> None:
        """However long it lasts: nobody spins."""
        run = gated(gate := Gate(True, backoff=MINUTE)).enqueue()
        for wait in range(1, 6):
            advance(run)
            assert (run.status, run.done) == (Status.INTERRUPTED, 0)
            assert len(messages()) == 1 + wait  # The first was read by nobody here.
            assert len(gate.asked) == run.attempts == wait
            assert run.messages_sent == 1
            let_time_pass(run)

    def test_a_wait_writes_no_checkpoint(self, gated: Any) -> None:
        run = gated(Gate(True, backoff=MINUTE)).enqueue()
        with mock.patch.object(Claim, "write", autospec=True) as write:
            advance(run)
        assert not any("cursor" in each.kwargs for each in write.call_args_list)

    def test_it_waits_as_long_as_it_is_told(self, gated: Any) -> None:
        run = advance(gated(Gate(timedelta(hours=3), backoff=MINUTE)).enqueue())
        assert run.run_after
        assert abs(run.run_after - timezone.now() - timedelta(hours=3)) < MINUTE
        assert run.reason == "Throttled by gate."
        assert run.throttled_since
        assert why(run) == (
            f"Throttled by gate since {moment(run.throttled_since)}. It looks again at "
            f"{moment(run.run_after)}."
        )

    def test_for_ever_is_a_moment_that_databases_know(self, gated: Any) -> None:
        run = advance(gated(Gate(timedelta.max)).enqueue())
        assert run.run_after
        assert run.run_after - timezone.now() > timedelta(days=300)

    def test_what_is_masked_is_masked_in_the_reason(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            api_key = "hush-hush"
            secrets = frozenset({"hush-hush"})

            @throttle(backoff=MINUTE)
            def busy(self) -> str:
                return f"{self.api_key} is busy"

        run = advance(Trial.enqueue())
        assert run.throttled_reason == "[FILTERED] is busy"
        assert "hush" not in run.reason

    def test_a_long_reason_is_cut(self, gated: Any) -> None:
        run = advance(gated(Gate("é" * 1000, backoff=MINUTE)).enqueue())
        assert run.throttled_reason == "é" * 255

    def test_the_lease_that_was_lost_meanwhile_is_found_lost(self, gated: Any) -> None:
        def lose(gate: Gate) -> bool:
            Run.objects.update(lease_token="another's")
            return True

        run = gated(Gate(lose, backoff=MINUTE)).enqueue()
        assert executor.execute(run.pk, run.lease_token) is None
        run.refresh_from_db()
        assert (run.status, run.throttled_by) == (Status.RUNNING, "")


class TestWishes:
    @pytest.fixture
    def run(self, gated: Any) -> Run:
        self.gate = Gate(holds_at(5, 5, 5), backoff=5 * MINUTE)
        return advance(gated(self.gate).enqueue())

    @pytest.mark.parametrize(
        ("wish", "status"),
        [(Run.pause, Status.PAUSED), (Run.cancel, Status.CANCELLED)],
    )
    def test_on_a_run_that_waits_are_granted_at_once(
        self, run: Run, wish: Act, status: Status
    ) -> None:
        sent = len(messages())
        wish(run)
        assert (run.status, run.throttled_by, run.run_after) == (status, "", None)
        assert (run.throttled_reason, run.throttled_since) == ("", None)
        assert len(messages()) == sent

    def test_resume_has_the_throttle_asked_again_at_once(self, run: Run) -> None:
        run.resume(by="ada")
        assert (run.status, run.run_after) == (Status.ENQUEUED, None)
        assert messages()[-1] == [run.pk, run.lease_token]
        asked = len(self.gate.asked)
        assert advance(run).status == Status.INTERRUPTED
        assert len(self.gate.asked) == asked + 1

    def test_so_it_does_behind_a_pause(self, run: Run) -> None:
        run.pause()
        run.resume()
        assert run.run_after is None
        assert advance(run).throttled_by == "gate"
        self.gate.says = None
        run.resume()
        assert faults(go_on(run)) == []

    @pytest.mark.parametrize("wait", [SECOND, MINUTE])
    @pytest.mark.parametrize("to_the_end", [True, False])
    @pytest.mark.parametrize(
        ("wish", "status"),
        [(Run.pause, Status.PAUSED), (Run.cancel, Status.CANCELLED)],
    )
    def test_come_before_a_throttle_that_holds_at_the_same_time(
        self, gated: Any, wish: Act, status: Status, wait: timedelta, to_the_end: bool
    ) -> None:
        def say(gate: Gate) -> bool:
            if gate.done[-1] == 5:
                wish(Run.objects.get())
            return gate.done[-1] == 5

        run = gated(Gate(say, backoff=wait)).enqueue()
        sent = messages()
        advance(run, to_the_end=to_the_end)
        assert (run.status, run.done) == (status, 5)
        assert (run.throttled_by, run.run_after) == ("", None)
        assert run.reason == ""
        assert messages() == sent

    def test_a_worker_that_is_told_to_stop_leaves_it_to_the_next(
        self, gated: Any
    ) -> None:
        interruption = Interruption()

        def say(gate: Gate) -> bool:
            if gate.done[-1] == 5 and len(gate.done) == 6:
                interruption.ask_to_stop("A deploy.")
                return True
            return False

        run = gated(Gate(say, backoff=2 * SECOND)).enqueue()
        advance(run, interruption=interruption)
        assert (run.status, run.reason, run.done) == (
            *(Status.INTERRUPTED, "A deploy."),
            5,
        )
        assert run.run_after is None
        assert faults(go_on(run)) == []


class TestInPlace:
    """Short waits, and those of a worker that nobody would follow."""

    @pytest.fixture(params=["short", "to the end", "no deferral"])
    def gate(self, request: pytest.FixtureRequest) -> Gate:
        """Return one that closes for a while at item 5, for each reason to stay."""
        wait = {"short": timedelta(seconds=4), "to the end": 2 * MINUTE}
        gate = Gate(holds_at(5, 5), backoff=wait.get(request.param, MINUTE))
        gate.to_the_end = request.param == "to the end"  # type: ignore[attr-defined]
        return gate

    @pytest.fixture
    def no_deferral(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if "no deferral" in request.node.name:
            monkeypatch.setattr(port, "defers", lambda run: False)

    def test_the_worker_waits_and_goes_on(
        self, gated: Any, gate: Gate, no_deferral: None
    ) -> None:
        run = gated(gate, time_budget=timedelta(hours=1)).enqueue()
        begun, sent = clock(), len(messages())
        advance(run, to_the_end=gate.to_the_end)  # type: ignore[attr-defined]
        assert faults(run) == []
        assert (run.attempts, len(messages())) == (1, sent)
        assert clock() - begun == pytest.approx(2 * gate.backoff.total_seconds())
        assert run.time_running < SECOND
        assert (run.throttled_by, run.throttled_since) == ("", None)

    def test_the_row_tells_of_it(
        self, gated: Any, gate: Gate, no_deferral: None
    ) -> None:
        told: list[tuple[str, str, str]] = []

        def listen(seconds: float) -> None:
            run = Run.objects.get()
            told.append((run.status, run.throttled_by, why(run)))
            clock.sleep(seconds)

        run = gated(gate).enqueue()
        with mock.patch.object(waiting, "sleep", listen):
            advance(run, to_the_end=gate.to_the_end)  # type: ignore[attr-defined]
        assert {each[:2] for each in told} == {("running", "gate")}
        assert told[0][2].startswith("Throttled by gate since ")
        assert told[0][2].endswith(": 40 s behind. Its worker looks again by itself.")

    @pytest.mark.parametrize(
        ("wish", "status"),
        [(Run.pause, Status.PAUSED), (Run.cancel, Status.CANCELLED)],
    )
    def test_a_wish_is_heard_within_a_second(
        self, gated: Any, gate: Gate, no_deferral: None, wish: Act, status: Status
    ) -> None:
        wished: list[float] = []

        def listen(seconds: float) -> None:
            if not wished:
                wished.append(clock())
                wish(Run.objects.get())
            clock.sleep(seconds)

        run = gated(gate).enqueue()
        with mock.patch.object(waiting, "sleep", listen):
            advance(run, to_the_end=gate.to_the_end)  # type: ignore[attr-defined]
        assert (run.status, run.done, run.throttled_by) == (status, 5, "")
        assert clock() - wished[0] <= 1

    def test_ctrl_c_in_run_now_is_heard_at_once(self, gated: Any) -> None:
        gate = Gate(holds_at(5), backoff=timedelta(hours=1))
        with (
            mock.patch.object(waiting, "sleep", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            gated(gate).run_now()
        run = Run.objects.get()
        assert (run.status, run.done) == (Status.INTERRUPTED, 5)
        assert faults(go_on(run)) == []

    def test_the_time_budget_ends_a_wait_that_never_ends(self, gated: Any) -> None:
        """A worker is not held for good by short waits, one after the other."""
        run = gated(gate := Gate(True, backoff=SECOND)).enqueue()
        advance(run)
        assert run.status == Status.INTERRUPTED
        assert run.reason == "Its time was up; it goes on with the next message."
        assert (len(messages()), run.throttled_by) == (2, "gate")
        assert len(gate.asked) == pytest.approx(120, abs=2)

    def test_the_time_budget_ends_such_a_wait_behind_an_error_that_passed(
        self, gated: Any
    ) -> None:
        def say(gate: Gate) -> bool:
            if len(gate.asked) == 1:
                raise InterfaceError("the line went dead")
            return len(gate.asked) < 500  # Else the test would not end.

        run = gated(gate := Gate(say, backoff=SECOND)).enqueue()
        advance(run)
        assert run.status == Status.INTERRUPTED
        assert len(gate.asked) == pytest.approx(120, abs=3)

    def test_it_is_asked_no_more_often_than_it_wants(self, gated: Any) -> None:
        gate = Gate(holds_at(4, 4), backoff=SECOND / 4, every=2 * SECOND)
        gated(gate, seconds=0.5).run_now()
        steps = [after - before for before, after in pairwise(gate.asked)]
        assert steps == pytest.approx([2] * len(steps))

    def test_the_lease_is_kept(self, gated: Any) -> None:
        """By waits too short for the pacemaker, which looks at each alone."""
        leases: list[Any] = []

        def say(gate: Gate) -> bool:
            leases.append(Run.objects.get().lease_until)
            return len(leases) < 40

        gated(Gate(say, backoff=SECOND)).run_now()
        assert len(set(leases)) >= 4

    def test_a_wait_that_lasts_writes_little(self, gated: Any) -> None:
        written: list[dict[str, Any]] = []

        def note(self: Claim, *lines: str, **changes: Any) -> None:
            written.append(changes)
            write(self, *lines, **changes)

        write = Claim.write
        gate = Gate(lambda gate: f"{clock()}", backoff=SECOND / 50)
        run = gated(gate, time_budget=10 * SECOND).enqueue()
        with mock.patch.object(Claim, "write", note):
            advance(run)
        assert len(gate.asked) == pytest.approx(500, abs=5)
        assert len(written) <= 1 + 10  # The total, and a reason each second.

    def test_a_blink_is_not_worth_a_word(self, gated: Any) -> None:
        """Such as those of a limit to so many items a second."""
        opens: list[float] = []

        def limit(gate: Gate) -> object:
            opens[:] = opens or [clock()]
            if clock() < opens[0]:
                return timedelta(seconds=opens[0] - clock())
            opens[0] = clock() + 0.05
            return None

        begun = clock()
        with mock.patch.object(throttling.Throttling, "_write") as write:
            run = gated(Gate(limit)).run_now()
        assert faults(run) == []
        assert clock() - begun == pytest.approx(19 * 0.05)
        write.assert_not_called()


class TestErrors:
    """An error of a throttle is nobody else's: the run ends as errored."""

    @pytest.mark.parametrize("atomic", [True, False])
    def test_in_it_ends_the_run_at_its_place(self, gated: Any, atomic: bool) -> None:
        def fail(gate: Gate) -> None:
            if gate.done[-1] == 5 and len(gate.done) == 6:
                raise ValueError("no")

        run = advance(gated(Gate(fail), atomic=atomic).enqueue())
        assert (run.status, run.done, run.error_at) == (Status.ERRORED, 5, "")
        assert (run.error_class, run.error_message) == ("builtins.ValueError", "no")
        run.resume()
        assert faults(go_on(run)) == []

    def test_behind_a_chunk_of_many_items_it_is_not_looked_for_among_them(
        self, gated: Any
    ) -> None:
        def fail(gate: Gate) -> None:
            if gate.done[-1]:
                raise ValueError("no")

        gate = Gate(fail, every=SECOND)
        run = advance(gated(gate, seconds=0.125).enqueue())
        assert (run.status, run.done) == (Status.ERRORED, 8)
        assert len(gate.asked) == 2
        assert effects() == once(*range(1, 9))

    def test_that_exits_is_one_too(self, gated: Any) -> None:
        def leave(gate: Gate) -> None:
            raise SystemExit

        assert advance(gated(Gate(leave)).enqueue()).status == Status.ERRORED

    def test_what_nobody_understands_is_told_in_a_sentence(
        self, gated: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            run = advance(gated(Gate(40)).enqueue())
        assert run.status == Status.ERRORED
        assert run.error_message.startswith(
            "The throttle gate of testapp.Trial returned 40. Return nothing to go on"
        )

    def test_a_database_that_is_away_is_waited_for(self, gated: Any) -> None:
        def ask(gate: Gate) -> None:
            if len(gate.done) == 2:
                raise InterfaceError("gone")

        assert faults(advance(gated(Gate(ask)).enqueue())) == []

    @pytest.mark.parametrize("wait", [SECOND, 4 * SECOND])
    def test_that_goes_away_twice_while_a_throttle_holds_is_waited_for_each_time(
        self, gated: Any, monkeypatch: pytest.MonkeyPatch, wait: timedelta
    ) -> None:
        """How long a throttle holds is no time for which the database was away."""
        monkeypatch.setattr(failures, "monotonic", clock)
        between = 10 * MINUTE // wait

        def say(gate: Gate) -> bool:
            if len(gate.asked) in {1, between}:
                raise InterfaceError("the line went dead")
            return len(gate.asked) < between + 10

        run = gated(Gate(say, backoff=wait)).run_now()
        assert faults(run) == []

    def test_it_is_over_for_a_run_that_was_held(self, gated: Any) -> None:
        def say(gate: Gate) -> bool:
            if len(gate.done) == 2:
                raise ValueError("no")
            return True

        run = advance(gated(Gate(say, backoff=MINUTE)).enqueue())
        advance(let_time_pass(run))
        assert (run.status, run.throttled_by) == (Status.ERRORED, "")
