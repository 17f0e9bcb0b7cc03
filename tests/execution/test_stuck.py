"""What is told of an item that does not end, and of what else may last."""

from __future__ import annotations

import itertools
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from django import forms
from django.core.files.base import ContentFile
from pytest_django import Settings

from tests.integration.harness import wait_until
from tests.runs.stages import run_in
from tests.testapp.clock import Clock
from tests.testapp.models import Item
from upkeep import Batches, Job, Task, parameter, throttle
from upkeep.execution import stuck
from upkeep.execution.chunks import Block, Chunk, Walker
from upkeep.execution.claim import Claim, this_worker
from upkeep.execution.executor import Executor
from upkeep.execution.interruption import Interruption
from upkeep.execution.pacemaker import Pacemaker
from upkeep.execution.stuck import Lookout, Stuck, behind_engine
from upkeep.forms import CSVField
from upkeep.models import Lease, Run
from upkeep.runs.status import Status
from upkeep.tasks.collections.base import Page

Known = Callable[[Any], Any]

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = {
    "LEASE": timedelta(seconds=0.3),
    "STUCK_AFTER": timedelta(seconds=0.2),
}


class Reporter:
    """Keeps what it is told, and lets those go on who wait for that."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.is_told = threading.Event()

    def __call__(self, error: BaseException, **context: Any) -> None:
        self.told.append((str(error), context))
        self.is_told.set()

    def wait_for_report(self) -> None:
        assert self.is_told.wait(10), "nobody was told"


@pytest.fixture(autouse=True)
def reporter(settings: Settings) -> Reporter:
    reporter = Reporter()
    settings.UPKEEP = TIMES | {"ERROR_REPORTER": reporter}
    return reporter


def test_the_reporter_hears_which_it_is_and_where(
    known: Known, reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    """On every database, also where nothing can be written meanwhile."""

    @known
    class Trial(Task):
        def collection(self) -> Any:
            return range(1, 10)

        def process(self, number: int) -> None:
            if number == 3:
                reporter.wait_for_report()

    run = Trial.run_now()
    assert run.status == Status.SUCCEEDED
    ((sentence, context),) = reporter.told
    assert sentence.startswith("item 3 has been in hand for ")
    assert "test_stuck.py:" in sentence
    assert sentence.endswith(", in process.")
    assert (context["item"], context["handled"]) == ("item 3", True)
    assert context["run_id"] == run.pk
    assert "in wait_for_report" in caplog.text
    worker = this_worker()
    assert f"worker {worker}: item 3" in caplog.text
    assert "If it never ends, kill that process." in caplog.text


class Hands:
    """Stands for what a worker has in hand; the clock is the test's."""

    run = Run(task="testapp.Trial")
    secrets = frozenset[str]()

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.clock = Clock()
        monkeypatch.setattr(stuck, "monotonic", self.clock)
        self.lookout = Lookout(cast("Any", self))

    def in_hand(self) -> tuple[int, str]:
        return self.number, f"item {self.number + 1}"

    def look(self, begun: float = 0.0) -> Stuck | None:
        return self.lookout.look(begun)

    def look_and_tell(self) -> None:
        found = self.look()
        if found and self.lookout.is_news(found):
            self.lookout.report(found)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


class TestLookout:
    def test_items_that_are_quick_enough_are_not_stuck(self, hands: Hands) -> None:
        """A chunk may last as long as its task wants it to."""
        for hands.number in range(100):
            hands.clock.sleep(0.15)
            assert hands.look() is None

    def test_an_item_lasts_since_it_was_first_seen(self, hands: Hands) -> None:
        for hands.number in range(100):
            hands.clock.sleep(0.15)
            hands.look()
        hands.clock.sleep(0.25)
        found = hands.look()
        assert found is not None
        assert (found.item, found.lasts) == ("item 100", timedelta(seconds=0.25))

    def test_the_first_of_a_chunk_lasts_since_that_began(self, hands: Hands) -> None:
        hands.clock.sleep(10)
        hands.look(9.5)
        hands.clock.sleep(10)
        found = hands.look(19.5)
        assert found is not None
        assert found.lasts == timedelta(seconds=0.5)

    def test_one_further_on_does_not_last_since_then(self, hands: Hands) -> None:
        """The items before it took that time, however quick each of them was."""
        hands.clock.sleep(10)
        hands.number = 5_000
        assert hands.look(1.0) is None

    def test_the_end_of_a_long_stack_is_told(
        self, hands: Hands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There the worker stands; what is in the middle may be left out."""
        frames = [(f"/a/{n}.py", n, "walk" * 100, "") for n in range(100)]
        stack = traceback.StackSummary.from_list(frames)
        monkeypatch.setattr(stuck, "behind_engine", lambda found: stack)
        hands.clock.sleep(10)
        found = hands.look()
        assert found is not None
        assert found.stack.endswith(", line 99, in " + "walk" * 100 + "\n")

    def test_it_is_told_each_time_it_lasts_four_times_as_long(
        self, hands: Hands, reporter: Reporter
    ) -> None:
        for _second in range(50):
            hands.clock.sleep(1)
            hands.look_and_tell()
        lasted = [sentence.split()[7] for sentence, _context in reporter.told]
        assert lasted == ["1", "4", "16"]

    def test_the_next_one_is_told_of_at_once(
        self, hands: Hands, reporter: Reporter
    ) -> None:
        for hands.number in range(3):
            hands.look()
            hands.clock.sleep(1)
            hands.look_and_tell()
        items = [context["item"] for _sentence, context in reporter.told]
        assert items == ["item 1", "item 2", "item 3"]


def test_who_lost_the_run_notes_nothing_of_it() -> None:
    run = run_in(Status.RUNNING)
    Lease.objects.filter(run=run).update(token="another's", item="another")
    executor = Executor(Claim(run), Interruption(), to_the_end=True)
    found = Stuck(item="mine", lasts=timedelta(0), place="here", stack="")
    Pacemaker(executor)._beat(found)
    assert Lease.objects.get(run=run).item == "another"
    Lease.objects.filter(run=run).update(token=run.lease_token)
    Pacemaker(executor)._beat(found)
    assert Lease.objects.get(run=run).item == "mine"


def test_none_are_told_of_where_the_setting_says_so(
    known: Known,
    reporter: Reporter,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.UPKEEP = settings.UPKEEP | {"STUCK_AFTER": None}
    looks, enough = itertools.count(1), threading.Event()
    look = Lookout.look

    def note(self: Lookout, begun: float) -> Stuck | None:
        if next(looks) == 5:  # By then it has lasted for twice as long as is allowed.
            enough.set()
        return look(self, begun)

    monkeypatch.setattr(Lookout, "look", note)

    @known
    class Trial(Job):
        def perform(self) -> None:
            assert enough.wait(10), "nobody looked"

    assert Trial.run_now().status == Status.SUCCEEDED
    assert reporter.told == []


def test_what_is_masked_is_not_told(
    known: Known, reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    @known
    class Trial(Task):
        api_key: str = parameter(forms.CharField())

        def collection(self) -> Any:
            return [1]

        def process(self, number: int) -> None:
            reporter.wait_for_report()

    Trial.run_now(api_key="wait_for_report")
    assert reporter.told
    assert "[FILTERED]" in caplog.text
    assert "wait_for_report" not in caplog.text + str(reporter.told)


class TestNames:
    def test_of_a_batch(self, known: Known, reporter: Reporter) -> None:
        Item.objects.bulk_create(Item() for _ in range(6))

        @known
        class Trial(Task):
            def collection(self) -> Any:
                return Batches(Item.objects.all(), size=2)

            def process(self, batch: Any) -> None:
                if self.seen:
                    reporter.wait_for_report()
                self.seen.append(batch)

            seen: list[Any] = []

        Trial.run_now()
        assert reporter.told[0][1]["item"] == "batch 2"

    def test_of_a_row(
        self, known: Known, reporter: Reporter, settings: Settings, tmp_path: Path
    ) -> None:
        settings.BASE_DIR = tmp_path

        @known
        class Trial(Task):
            csv_file: Any = parameter(CSVField())

            def collection(self) -> Any:
                return self.csv_file

            def process(self, row: dict[str, str]) -> None:
                if row["name"] == "b":
                    reporter.wait_for_report()

        Trial.run_now(csv_file=ContentFile(b"name\na\nb\n", name="a.csv"))
        assert reporter.told[0][1]["item"] == "item 2"

    def test_of_a_job_there_are_none(self, known: Known, reporter: Reporter) -> None:
        @known
        class Trial(Job):
            def perform(self) -> None:
                reporter.wait_for_report()

        Trial.run_now()
        ((sentence, context),) = reporter.told
        assert context["item"] == ""
        assert sentence.startswith("One step has been in hand for ")
        assert sentence.endswith(", in perform.")

    def test_of_what_stands_beside_the_items_there_are_none(
        self, known: Known, reporter: Reporter
    ) -> None:
        @known
        class Trial(Task):
            def collection(self) -> Any:
                reporter.wait_for_report()
                return range(3)

            def process(self, number: int) -> None:
                pass

        Trial.run_now()
        ((sentence, context),) = reporter.told
        assert context["item"] == ""
        assert sentence.endswith(", in collection.")


def test_a_throttle_may_hold_as_long_as_it_likes(
    known: Known, reporter: Reporter
) -> None:
    begun = time.monotonic()

    @known
    class Trial(Task):
        def collection(self) -> Any:
            return range(3)

        def process(self, number: int) -> None:
            pass

        @throttle(backoff=timedelta(seconds=1.5))
        def gate(self) -> bool:
            return time.monotonic() - begun < 1

    assert Trial.run_now().status == Status.SUCCEEDED
    assert reporter.told == []


def test_an_item_that_cannot_be_named_keeps_its_lease(
    known: Known, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its guard the pacemaker would end, and the lease with it."""
    beats: list[Stuck | None] = []
    beat, enough = Pacemaker._beat, threading.Event()

    def note(self: Pacemaker, found: Stuck | None) -> None:
        beat(self, found)
        beats.append(found)
        if len(beats) == 4:
            enough.set()

    def place_of(frame: Any) -> str:
        raise RuntimeError("no place")

    monkeypatch.setattr(stuck, "place_of", place_of)
    monkeypatch.setattr(Pacemaker, "_beat", note)

    @known
    class Trial(Task):
        atomic = False

        def collection(self) -> Any:
            return [1]

        def process(self, number: int) -> None:
            assert enough.wait(10), "the pacemaker has ended"

    assert Trial.run_now().status == Status.SUCCEEDED
    assert set(beats) == {None}
    assert "It is not known where run" in caplog.text


def test_where_no_frame_is_the_task_s_own_the_engine_s_last_is_shown() -> None:
    frames = traceback.StackSummary.from_list(
        [("/a.py", 1, "main", ""), (stuck.__file__, 2, "look", "")]
    )
    assert [frame.name for frame in behind_engine(frames)] == ["look"]


def test_a_reporter_that_takes_its_time_costs_no_lease(
    known: Known, settings: Settings
) -> None:
    """Where nothing is undone, another worker would do the item once more."""
    over, telling = threading.Event(), threading.Event()

    def reporter(error: BaseException, **context: Any) -> None:
        telling.set()
        over.wait(10)

    settings.UPKEEP = settings.UPKEEP | {"ERROR_REPORTER": reporter}

    @known
    class Trial(Task):
        atomic = False

        def collection(self) -> Any:
            return [1]

        def process(self, number: int) -> None:
            assert telling.wait(10), "nobody is told"
            assert wait_until(has_been_extended, 9), "nobody extends the lease"
            over.set()

    leases: set[Any] = set()

    def has_been_extended() -> bool:
        leases.add(Lease.objects.get().until)
        return len(leases) > 5

    assert Trial.run_now().status == Status.SUCCEEDED


def test_an_item_that_ended_as_one_looked_is_not_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is in hand then is another one, and has not been for long."""
    executor = Executor(Claim(run_in(Status.RUNNING)), Interruption(), to_the_end=True)
    pacemaker = Pacemaker(executor)

    def end_of_chunk() -> tuple[int, str]:
        pacemaker._watch = None
        return 0, "the next item"

    with pacemaker.watching():
        watch = pacemaker._watch
        assert watch is not None
        long_since = replace(watch, begun=watch.begun - 60)
        pacemaker._watch = long_since
        assert pacemaker._look(long_since)
        monkeypatch.setattr(executor, "in_hand", end_of_chunk)
        assert pacemaker._look(long_since) is None


class Busy(Block):
    """A block whose worker counts on, whenever another thread has looked."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name == "done":
            self.done = found + 1
        return found


def test_one_looks_at_a_worker_that_counts_on() -> None:
    executor = Executor(Claim(run_in(Status.RUNNING)), Interruption(), to_the_end=True)
    executor.task = Task()
    walker = Walker.__new__(Walker)
    walker.run, walker.task, walker.chunk = executor.run, executor.task, Chunk(None)
    page: Page[int] = Page(items=[7, 8], last=True, cursor_after=lambda n: {})
    walker.block = Busy(page, start=0, lines=0, begun=0.0, done=1)
    assert walker.in_hand() == (1, "item 2")
    assert walker.in_hand() == (0, "")
