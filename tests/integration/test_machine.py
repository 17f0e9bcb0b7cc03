"""
One run, and all that can happen to it, in any order.

Hypothesis makes up the stories. Workers, persons, the sweep and the queue are the real
ones on the real database; that somebody dies or freezes is played by an accident. How
each item ends is known beforehand, so that one number tells what must be true: how many
items are behind the run.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from itertools import chain, pairwise
from typing import Any

import pytest
from django.db import Error, connection
from django.db.models import F
from django.utils import timezone
from django_tasks_db.models import DBTaskResult, get_date_max
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from tests.integration.accidents import (
    Accident,
    Death,
    DeathAtCommit,
    Died,
    Freeze,
    LostAnswer,
    LostCommits,
    LostConnection,
    LostFailures,
    Oversleep,
)
from tests.integration.harness import clear
from tests.integration.world import (
    ENDS_JOB,
    Broken,
    Fate,
    Kind,
    Plan,
    Regret,
    World,
)
from tests.registering import registered
from tests.testapp.clock import clock
from tests.testapp.models import Effect, Item
from tests.without import taken_away
from upkeep.dispatch.recovery import sweep
from upkeep.exceptions import (
    AlreadyActive,
    InvalidTransition,
    SwallowedError,
    TaskNotFound,
)
from upkeep.execution import (
    chunks,
    executor,
    failures,
    interruption,
    rate,
    throttling,
    waiting,
)
from upkeep.execution.interruption import Interruption
from upkeep.models import Event, Lease, Run
from upkeep.runs.status import ENDED, HELD, STOPS, TRANSITIONS, WAITING, Status
from upkeep.runs.why import why
from upkeep.tasks import registry

# `make soak` asks for many more.
EXAMPLES = int(os.environ.get("UPKEEP_TEST_EXAMPLES", "200"))
STEPS = 10

# To explain a failure it would trace every line, and take an hour to.
PHASES = [Phase.reuse, Phase.generate, Phase.shrink]

PERSON = "a person"
S = Status

# From the wish of a person, where it is heard, and where it leads.
MAY: dict[str, set[Status]] = {
    "pause": {S.ENQUEUED, S.INTERRUPTED, S.RUNNING, S.PAUSING, S.PAUSED},
    "resume": {S.PAUSED, S.ERRORED, S.INTERRUPTED, S.PAUSING},
    "cancel": set(S) - {S.SUCCEEDED, S.DISCARDED},
}
LEADS_TO: dict[str, set[Status]] = {
    "pause": {S.PAUSED, S.PAUSING},
    "resume": {S.ENQUEUED, S.RUNNING},
    "cancel": {S.CANCELLED, S.CANCELLING},
}

# What only a person can do.
BY_PERSONS = {
    *((before, S.PAUSED) for before in WAITING),
    *((before, S.CANCELLED) for before in {*WAITING, S.PAUSED, S.ERRORED}),
    *((before, S.ENQUEUED) for before in {S.PAUSED, S.ERRORED, S.INTERRUPTED}),
    *((S.RUNNING, wish) for wish in (S.PAUSING, S.CANCELLING)),
    *((S.PAUSING, wish) for wish in (S.RUNNING, S.CANCELLING)),
}

HOOKS = {
    S.PAUSED: "after_pause",
    S.INTERRUPTED: "after_interrupt",
    S.CANCELLED: "after_cancel",
    S.SUCCEEDED: "after_complete",
    S.DISCARDED: "after_discard",
    S.ERRORED: "after_error",
}

# Another method sees to it, or it fails when it has said that it is done.
SAID_OTHERWISE = {Fate.CROOKED, Fate.SWALLOWS, Fate.REGRETS}

fate = st.sampled_from([*[Fate.GOOD] * 4, *[Fate.POISON] * 2, *Fate])
# An item that is tried again, and behind it one that wants more than to be counted.
pair = st.tuples(
    st.sampled_from([Fate.HICCUP, Fate.HICCUP, Fate.EARLY]),
    st.sampled_from([Fate.CROOKED, Fate.CROOKED, Fate.BROKEN]),
)
kinds = st.sampled_from(Kind)


@st.composite
def fates(draw: st.DrawFn, *, is_job: bool) -> list[Fate]:
    if is_job:
        return [draw(fate)]
    parts = draw(st.lists(st.tuples(fate) | pair, max_size=7))
    return list(chain.from_iterable(parts))[:7]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kind = draw(kinds)
    return Plan(
        kind=kind,
        fates=draw(fates(is_job=kind is Kind.JOB)),
        atomic=draw(st.sampled_from([True, True, False])),
        page=draw(st.sampled_from([1000, 1, 2, 3])),
        chunk=draw(st.integers(1, 5)),
        patience=timedelta(seconds=draw(st.sampled_from([60, 2]))),
        budget=draw(st.sampled_from([None, timedelta(seconds=15)])),
        concurrency=draw(st.sampled_from([1, 1, 2, None])),
    )


places = st.integers(1, 60)
stops = st.none() | st.integers(1, 4)
choices = st.integers(0, 5)
gaps = st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3)
happenings = st.sampled_from(
    [
        "take_over",
        "take_over",
        "give_up",
        "pause",
        "resume",
        "cancel",
        "shut",
        "work",
        "remove",
    ]
)
Frozen = tuple[int, list[str], int | None]
freezes = st.tuples(
    st.integers(1, 30), st.lists(happenings, min_size=1, max_size=3), stops
)


class Machine(RuleBasedStateMachine):
    """Whatever happens to one run."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(registered())
        clear()
        Item.objects.all().delete()
        self.is_calm = True  # No worker died, and none was disturbed.
        self.was_cancelled = self.was_removed = False
        self.place = 0
        self.explained: Any = None
        self.delivered: list[Sequence[Any]] = []
        self.without_hooks: set[int] = set()  # Events made while the task was away.

    @initialize(plan=plans())
    def begin(self, plan: Plan) -> None:
        self.world = World(plan)
        self.deploy()
        self.run = self.world.furnish()

    # Workers

    @rule(choice=choices, stop_after=stops, is_kept=st.booleans())
    def work(
        self,
        choice: int = 0,
        stop_after: int | None = None,
        is_kept: bool = False,
        accident: Accident | None = None,
    ) -> None:
        """Be the worker that takes one of the messages which wait."""
        if found := list(DBTaskResult.objects.ready().order_by("enqueued_at", "pk")):
            message = found[choice % len(found)]
            if not is_kept:  # Else it will be delivered twice.
                message.delete()
            self.delivered.append(message.args_kwargs["args"])
            run_id, token = self.delivered[-1]
            self.execute(run_id, token, stop_after, accident)

    @rule(choice=choices, stop_after=stops, at=places)
    def die_at_work(self, choice: int, stop_after: int | None, at: int) -> None:
        self.work(choice, stop_after, accident=Death(at))

    @rule(choice=choices, stop_after=stops, at=st.integers(1, 12))
    def die_at_commit(self, choice: int, stop_after: int | None, at: int) -> None:
        self.work(choice, stop_after, accident=DeathAtCommit(at))

    @rule(choice=choices, stop_after=stops, at=places)
    def lose_connection(self, choice: int, stop_after: int | None, at: int) -> None:
        self.work(choice, stop_after, accident=LostConnection(at))

    @rule(choice=choices, stop_after=stops, at=st.integers(1, 6))
    def lose_answer(self, choice: int, stop_after: int | None, at: int) -> None:
        self.work(choice, stop_after, accident=LostAnswer(at))

    @rule(choice=choices, stop_after=stops, gaps=gaps)
    def lose_commits(
        self, choice: int, stop_after: int | None, gaps: list[int]
    ) -> None:
        self.work(choice, stop_after, accident=LostCommits(*gaps))

    @rule(choice=choices, stop_after=stops, gaps=gaps)
    def lose_failures(
        self, choice: int, stop_after: int | None, gaps: list[int]
    ) -> None:
        self.work(choice, stop_after, accident=LostFailures(*gaps))

    @rule(choice=choices, stop_after=stops, freeze=freezes)
    def freeze(self, choice: int, stop_after: int | None, freeze: Frozen) -> None:
        self.work(choice, stop_after, accident=self.frozen(freeze))

    @rule(
        choice=choices,
        stop_after=stops,
        at=st.integers(1, 4),
        meanwhile=st.sampled_from(["take_over", "give_up"]),
    )
    def oversleep(
        self, choice: int, stop_after: int | None, at: int, meanwhile: str
    ) -> None:
        """Stand still at the worst moment, until it is given up."""
        accident = Oversleep(at, getattr(self, meanwhile))
        self.work(choice, stop_after, accident=accident)

    def frozen(self, freeze: Frozen) -> Freeze:
        """Stand still, and do not notice what the others do."""
        at, happenings, items = freeze

        def meanwhile() -> None:
            for name in happenings:
                if name == "take_over":
                    self.take_over(items)
                else:
                    getattr(self, name)()

        return Freeze(at, meanwhile)

    @precondition(lambda self: self.delivered)
    @rule(choice=choices)
    def deliver_again(self, choice: int) -> None:
        """Deliver a message a second time; it does nothing if it was ever heeded."""
        self.execute(*self.delivered[-1 - choice % len(self.delivered)])

    @rule(choice=choices)
    def deliver_early(self, choice: int) -> None:
        """Deliver a message that waits, be it before its moment."""
        if found := list(DBTaskResult.objects.order_by("enqueued_at", "pk")):
            self.execute(*found[choice % len(found)].args_kwargs["args"])

    def give_up(self) -> None:
        """Find that a worker has fallen silent."""
        self.pass_time(timedelta(minutes=2))
        self.sweep()

    def take_over(self, items: int | None = None) -> None:
        """Be all that comes when a worker has fallen silent."""
        self.give_up()
        self.work(stop_after=items)

    def execute(
        self,
        run_id: int,
        token: str,
        stop_after: int | None = None,
        accident: Accident | None = None,
    ) -> None:
        self.run.refresh_from_db()
        before = self.run.attempts
        is_early = (self.run.run_after or timezone.now()) > timezone.now()
        is_stale = token != self.run.lease_token or self.run.status not in WAITING
        self.is_calm &= accident is None
        left: Run | None = None
        try:
            with self.employed(stop_after), accident.lurking() if accident else CALM:
                left = executor.execute(
                    run_id, token, interruption=self.world.interruption
                )
        except (Died, Error):
            assert accident is not None
            assert accident.has_happened
        self.run.refresh_from_db()
        if left is not None:
            assert self.run.status not in HELD, "its worker left it as it was"
        if accident is None:
            is_heeded = self.run.attempts > before
            assert is_heeded != (is_early or is_stale)

    def employed(self, stop_after: int | None) -> ExitStack:
        """Have an interruption for each worker, for one may be inside another."""
        world, stack = self.world, ExitStack()
        stack.callback(setattr, world, "interruption", world.interruption)
        stack.callback(setattr, world, "stop_after", world.stop_after)
        world.interruption, world.stop_after = Interruption(), stop_after
        return stack

    # Persons

    @rule()
    def pause(self) -> None:
        self.wish("pause")

    @rule()
    def resume(self) -> None:
        self.wish("resume")

    @precondition(lambda self: len(self.world.fates) % 3 == 0)  # It ends the story.
    @rule()
    def cancel(self) -> None:
        self.wish("cancel")

    @rule(verb=st.sampled_from(["pause", "resume"]), at=st.integers(1, 20))
    def die_with_a_wish(self, verb: str, at: int) -> None:
        self.wish(verb, accident=Death(at))

    @rule(verb=st.sampled_from(["pause", "resume"]), freeze=freezes)
    def freeze_with_a_wish(self, verb: str, freeze: Frozen) -> None:
        self.wish(verb, accident=self.frozen(freeze))

    @rule()
    def force_pause(self) -> None:
        """Pause a run whose worker is silent."""
        self.wish("pause")
        self.give_up()
        self.run.refresh_from_db()
        assert self.run.status in {*ENDED, Status.PAUSED}

    def wish(self, verb: str, accident: Accident | None = None) -> None:
        self.run.refresh_from_db()
        before = Status(self.run.status)
        self.was_cancelled |= verb == "cancel"
        asked = Run.objects.get(pk=self.run.pk)  # Meanwhile others ask by their own.
        is_refused = False
        try:
            with accident.lurking() if accident else CALM:
                getattr(asked, verb)(by=PERSON, reason=f"A person wants to {verb}.")
        except Died:
            assert accident is not None
        except InvalidTransition:
            is_refused = True
        except TaskNotFound:
            assert verb == "resume"
            assert self.is_removed
            return
        if accident is not None and accident.has_happened:
            self.is_calm = False
        else:
            assert is_refused == (before not in MAY[verb])
            assert is_refused or asked.status in LEADS_TO[verb]

    @precondition(lambda self: self.world.plan.concurrency == 1)
    @rule()
    def enqueue_another(self) -> None:
        """Start the same once more; while the run is active, that is refused."""
        if self.is_removed:
            return
        self.run.refresh_from_db()
        try:
            rival = self.world.enqueue()
        except AlreadyActive:
            assert self.run.is_active
            return
        assert not self.run.is_active
        if self.run.status == Status.ERRORED:
            with pytest.raises(AlreadyActive):
                self.run.resume(by=PERSON)
        DBTaskResult.objects.all().delete()  # That of the run is stale.
        rival.delete()

    # Queue, sweep, clock

    @rule()
    def sweep(self) -> None:
        sweep(prune=False)

    @rule(at=st.integers(1, 30))
    def die_in_a_sweep(self, at: int) -> None:
        death = Death(at)
        try:
            with death.lurking():
                sweep(prune=False)
        except Died:
            self.is_calm = False
            assert death.has_happened

    @rule(freeze=freezes)
    def freeze_in_a_sweep(self, freeze: Frozen) -> None:
        self.is_calm = False
        with self.frozen(freeze).lurking():
            sweep(prune=False)

    @rule()
    def lose_messages(self) -> None:
        DBTaskResult.objects.all().delete()

    @rule(by=st.sampled_from([timedelta(seconds=31), timedelta(minutes=2)]))
    def pass_time(self, by: timedelta) -> None:
        """Move all moments back: that is what the clock of the database sees."""
        clock.sleep(by.total_seconds())
        earlier = {
            name: F(name) - by for name in ("lease_until", "run_after", "resend_at")
        }
        Run.objects.update(**earlier)
        Lease.objects.update(until=F("until") - by)
        Event.objects.update(announce_at=F("announce_at") - by)
        deferred = DBTaskResult.objects.exclude(run_after=get_date_max())
        deferred.update(run_after=F("run_after") - by)

    # Throttle, deploys

    @rule()
    def shut(self) -> None:
        self.world.is_shut = True

    @precondition(lambda self: self.world.is_shut)
    @rule()
    def open(self) -> None:
        self.world.is_shut = False

    @rule()
    def remove(self) -> None:
        """Deploy without the task."""
        self.was_removed = True
        registry._classes.pop("driven", None)
        registry.forget()
        self.note_without_hooks()

    @precondition(lambda self: self.is_removed)
    @rule()
    def deploy(self) -> None:
        """Deploy with the task."""
        registry._classes.clear()
        registry._classes["driven"] = self.world.task
        registry.forget()

    @property
    def is_removed(self) -> bool:
        return "driven" not in registry._classes

    def note_without_hooks(self) -> None:
        if self.is_removed:
            owed = Event.objects.all()
            self.without_hooks.update(owed.values_list("pk", flat=True))

    @rule()
    def mend(self) -> None:
        """Deploy a task that can do what it could not."""
        is_stopped = (
            self.run.status == Status.ERRORED
            and self.place < len(self.world.fates)
            and self.world.is_stopper(self.place)
        )
        if is_stopped:
            self.world.mend(self.place)

    # What is always true

    @invariant()
    def check(self) -> None:
        self.run.refresh_from_db()
        self.note_without_hooks()
        self.check_counts()
        self.check_place()
        self.check_effects()
        self.check_dead_letters()
        self.check_story()
        self.check_reason()
        self.check_end()

    def check_counts(self) -> None:
        run = self.run
        assert run.reached >= self.place, "it went back"
        self.place = run.reached
        counted = {name: getattr(run, name) for name in ("done", "failed", "skipped")}
        assert Counter(counted) == self.world.counts(self.place)
        assert run.total in (None, len(self.world.fates))

    def check_place(self) -> None:
        assert self.index_behind(self.run.cursor) == self.place

    def index_behind(self, cursor: Any) -> int:
        """Return which item comes behind a cursor, by the walk itself."""
        walk = self.world.task.restore(self.run.parameters).walk()
        try:
            items = walk.page(cursor, 1).items
            return self.world.index_of(items[0]) if items else len(self.world.fates)
        finally:
            walk.close()

    def check_effects(self) -> None:
        world, done = self.world, self.world.done(self.place)
        assert all(world.executions[index] for index in range(self.place)), "skipped"
        effects = Counter(Effect.objects.values_list("item", flat=True))
        if world.plan.atomic:
            assert effects == Counter(done)
            return
        assert all(effects[index] for index in done)
        if self.is_calm:
            good = [index for index in done if world.fates[index] is Fate.GOOD]
            assert all(
                effects[index] == world.executions[index] == 1
                for index in good
                if world.plan.fates[index] is Fate.GOOD
            )

    def check_dead_letters(self) -> None:
        letters = list(self.run.dead_letters.all())
        kept = sorted(self.index_behind(letter.cursor) for letter in letters)
        assert kept == self.world.kept(self.place)
        for letter in letters:
            fate = self.world.fates[self.index_behind(letter.cursor)]
            assert letter.attempts in ({3} if fate is Fate.HOPELESS else {1, 2})

    def check_story(self) -> None:
        run, events = self.run, list(self.run.events.order_by("pk"))
        moves = [event for event in events if event.kind == Event.Kind.MOVE]
        assert moves[0].status == Status.ENQUEUED
        for before, after in pairwise(moves):
            move = Status(before.status), Status(after.status)
            assert move[1] in TRANSITIONS[move[0]]
            assert (move in BY_PERSONS) == (after.actor == PERSON)
        assert (moves[-1].status, moves[-1].text) == (run.status, run.reason)
        if run.status in STOPS:
            assert moves[-1].cursor == run.cursor
        starts = [
            after
            for before, after in pairwise(moves)
            if before.status in WAITING and after.status == Status.RUNNING
        ]
        assert run.attempts == len(starts)
        self.check_log([event.text for event in events if event not in moves])

    def check_log(self, lines: list[str]) -> None:
        assert self.run.logged == len(lines)
        plain = [
            index
            for index in range(len(self.world.fates))
            if self.world.plan.fates[index] not in SAID_OTHERWISE
        ]
        done = set(self.world.done(self.place))
        said = Counter(lines)
        assert all(said[f"Item {index}"] == (index in done) for index in plain)

    def check_reason(self) -> None:
        run = self.run
        status = Status(run.status)
        if status in STOPS - {Status.SUCCEEDED}:
            assert run.reason
        lease = run.lease_until or timezone.now()
        is_silent = status is Status.RUNNING and lease > timezone.now()
        moment = (status, run.lease_token, is_silent)
        if moment != self.explained:  # It is the dearest of the questions.
            self.explained = moment
            must_say = not is_silent and status not in ENDED - {Status.ERRORED}
            assert why(run) or not must_say
        has_slot = run.active_key is not None
        wants_slot = run.is_active and self.world.plan.concurrency is not None
        assert has_slot == wants_slot
        assert (run.status in HELD) == bool(run.worker)

    def check_end(self) -> None:
        run, world = self.run, self.world
        match Status(run.status):
            case Status.SUCCEEDED:
                assert self.place == len(world.fates)
                if world.is_job and world.fates[0] is not Fate.FAULTY:
                    assert world.fates[0] not in ENDS_JOB
                    if world.fates[0] is not Fate.CROOKED:
                        # A worker that was given up may have executed it once more.
                        told = (run.result or {}).get("executions", 0)
                        assert 1 <= told <= world.executions[0]
            case Status.DISCARDED:
                assert world.is_job
                assert world.fates[0] in ENDS_JOB
            case Status.CANCELLED:
                assert self.was_cancelled
            case Status.ERRORED:
                self.check_error()

    def check_error(self) -> None:
        world = self.world
        fate = world.fates[self.place] if self.place < len(world.fates) else None
        match self.run.error_class.rpartition(".")[2]:
            case TaskNotFound.__name__:
                assert self.was_removed
            case Broken.__name__:
                assert fate is Fate.BROKEN or self.is_mended(Fate.BROKEN)
            case SwallowedError.__name__:
                assert fate is Fate.SWALLOWS or self.is_mended(Fate.SWALLOWS)
            case Regret.__name__:
                behind = world.fates[: self.place] if world.plan.atomic else [fate]
                assert Fate.REGRETS in behind or self.is_mended(Fate.REGRETS)
            case name:
                pytest.fail(f"{name}: {self.run.error_message}")

    def is_mended(self, fate: Fate) -> bool:
        """Tell whether the item that stopped the run was mended meanwhile."""
        return (
            self.place < len(self.world.fates)
            and self.world.plan.fates[self.place] is fate
            and self.world.fates[self.place] is Fate.GOOD
        )

    # How it ends

    def teardown(self) -> None:
        with self.stack:
            if sys.exc_info()[0] is None and hasattr(self, "run"):
                self.deploy()
                self.open()
                self.see_it_end()
                self.check_hooks()

    def see_it_end(self) -> None:
        """Let it go on by itself; persons do no more than they must."""
        for _person in range(2 * len(self.world.fates) + 2):
            self.let_it_heal()
            if self.run.status not in {Status.PAUSED, Status.ERRORED}:
                return
            self.mend()
            self.resume()
        pytest.fail(f"{self.run} does not end")

    def let_it_heal(self) -> None:
        for _round in range(8 * len(self.world.fates) + 8):
            self.pass_time(timedelta(hours=1))
            self.sweep()
            self.check()
            if self.run.status in {*ENDED, Status.PAUSED}:
                return
            self.work()
        pytest.fail(f"{self.run} does not go on: {self.run.status}")

    def check_hooks(self) -> None:
        """Each move was told of; where nothing went wrong, once."""
        owed: Counter[str] = Counter()
        all_moves = self.run.events.filter(kind=Event.Kind.MOVE)
        for move in all_moves.exclude(pk__in=self.without_hooks):
            if hook := HOOKS.get(Status(move.status)):
                owed[hook] += 1
        first = all_moves.filter(status=Status.RUNNING).first()
        owed["after_start"] = int(
            first is not None and first.pk not in self.without_hooks
        )
        called = self.world.hooks
        assert all(called[hook] >= times for hook, times in owed.items())
        if self.is_calm and not self.was_removed:
            assert called == owed


CALM = nullcontext()


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass where an item ticks or somebody sleeps, and nowhere else."""
    for module in (chunks, executor, failures, interruption, rate, throttling, waiting):
        monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(waiting, "sleep", clock.sleep)
    monkeypatch.setattr(time, "sleep", clock.sleep)


@pytest.fixture
def quiet(settings: Settings) -> Iterator[None]:
    """Keep files in memory, and say nothing of thousands of errors."""
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"upkeep": memory}
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("transactional_db", "still_clock", "quiet")
def test_whatever_happens_each_item_ends_once_as_it_must() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=PHASES,
            # An example empties tables first, which takes long beside one statement.
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


# That it can fail


def tell(plan: Plan, *story: Callable[[Machine], None]) -> None:
    """Tell one story to its end."""
    machine = Machine()
    try:
        machine.begin(plan)
        for happen in story:
            happen(machine)
            machine.check()
    except BaseException:
        machine.stack.close()
        raise
    machine.teardown()


def oversleep(machine: Machine) -> None:
    machine.oversleep(choice=0, stop_after=None, at=2, meanwhile="take_over")


def lose_answer(machine: Machine) -> None:
    # The first is of the claim; on PostgreSQL to count is a transaction, too.
    behind = 2 if connection.vendor == "postgresql" else 1
    machine.lose_answer(choice=0, stop_after=None, at=behind + 1)


def lose_failure(machine: Machine) -> None:
    machine.lose_failures(choice=0, stop_after=None, gaps=[1])


@pytest.mark.usefixtures("transactional_db", "still_clock", "quiet")
@pytest.mark.parametrize(
    ("protection", "fates", "chunk", "story"),
    [
        ("fence", [Fate.GOOD] * 3, 1, oversleep),
        ("fresh row", [Fate.GOOD] * 3, 1, lose_answer),
        ("whose attempts", [Fate.HICCUP, Fate.CROOKED], 3, lose_failure),
        ("hidden errors", [Fate.SWALLOWS] * 3, 1, Machine.work),
    ],
    ids=["fence", "fresh row", "whose attempts", "hidden errors"],
)
def test_without_a_protection_it_finds_a_fault(
    protection: str,
    fates: list[Fate],
    chunk: int,
    story: Callable[[Machine], None],
) -> None:
    plan = Plan(kind=Kind.RECORDS, fates=fates, atomic=True, chunk=chunk)
    with (
        taken_away(protection),
        pytest.raises((AssertionError, pytest.fail.Exception)),
    ):
        tell(plan, story)
