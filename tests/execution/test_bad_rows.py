"""137 bad rows amid passing troubles, until none is left, on every database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from tests.execution.story import effects, once
from tests.testapp.clock import clock
from tests.testapp.models import Effect
from upkeep import Quarantine, Retry, Task, polynomial, throttle
from upkeep.execution import executor
from upkeep.models import DeadLetter, Run
from upkeep.runs.dead_letters import DeadLetterQuerySet

Known = Callable[[Any], Any]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("still_clock"),
]

ROWS = range(1, 1_001)
BAD = set(range(4, 960, 7))
LOCKED, STORED = 2, 3  # What these rows need is not always there.
ROW = 0.001  # seconds
MINUTE = timedelta(minutes=1)


class World:
    """What the rows depend on, as it is at the moment."""

    is_locked = False
    is_mounted = True
    closed_until = 0.0

    def __init__(self) -> None:
        self.answers: dict[int, str] = {}

    def close_for(self, length: timedelta) -> None:
        """Hang out a sign that says until when nobody is to come."""
        self.closed_until = clock() + length.total_seconds()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=[True, False], ids=["atomic", "not atomic"])
def task(request: pytest.FixtureRequest, known: Known, world: World) -> type[Task]:
    class Import(Task):
        atomic = request.param
        on_error = [
            Retry(OperationalError, wait=polynomial, jitter=0),
            Retry(OSError, attempts=10, wait=timedelta(seconds=10), jitter=0),
            Quarantine(ValueError, at_most=0.2),
        ]

        def collection(self) -> Any:
            return ROWS

        def process(self, row: int) -> None:
            clock.sleep(ROW)
            if row == LOCKED and world.is_locked:
                raise OperationalError("deadlock detected, says a service")
            if row == STORED and not world.is_mounted:
                raise OSError("the storage is away")
            if row in BAD and row not in world.answers:
                raise ValueError(f"{['ada', 'bob'][row % 2]} gave nothing for {row}")
            if row in BAD and world.answers[row] != "good":
                raise ValueError("What is this?")
            Effect.objects.create(item=row)

        @throttle(every=timedelta(seconds=0.25))
        def is_closed(self) -> timedelta | None:
            left = world.closed_until - clock()
            return timedelta(seconds=left) if left > 0 else None

    return known(Import)  # type: ignore[no-any-return]


def advance(run: Run) -> Run:
    """Be a worker that takes the run up when its moment has come."""
    Run.objects.filter(pk=run.pk).update(run_after=None)
    run.refresh_from_db()
    executor.execute(run.pk, run.lease_token)
    run.refresh_from_db()
    return run


def waits(run: Run, times: int) -> list[str]:
    """Be a worker so many times, and return how long the run waits after each."""
    reasons = [advance(run).reason for _ in range(times)]
    return [re.findall(r"is tried again after (.*?)\. ", each)[0] for each in reasons]


def retry(letters: DeadLetterQuerySet) -> tuple[int, int]:
    """Have letters tried again, and return how many were done and failed again."""
    (retrial,) = letters.retry(by="ada")
    advance(retrial)
    assert retrial.status == "succeeded"
    return retrial.done, retrial.failed


def causes(letters: DeadLetterQuerySet) -> Counter[str]:
    """Count the open letters by the first word of their errors, one for each cause."""
    found = letters.open().values_list("fingerprint", "error_message")
    pairs = {(each, said.split()[0]) for each, said in found}
    words = dict(pairs)
    assert len(pairs) == len(words) == len(set(words.values()))
    return Counter(words[each] for each, _ in found)


def test_troubles_pass_and_137_bad_rows_are_mended_and_tried_until_none_is_left(
    task: type[Task], world: World
) -> None:
    run = task.enqueue()
    world.is_locked = True
    assert waits(run, 2) == ["18 s", "1 min 23 s"]
    world.is_locked, world.is_mounted = False, False
    assert waits(run, 3) == ["10 s", "10 s", "10 s"]
    world.is_mounted = True
    hold_for_a_minute(run, world)

    advance(run)
    assert (run.status, run.done, run.failed) == ("succeeded", 863, 137)
    assert effects() == once(*(set(ROWS) - BAD))
    letters = run.dead_letters
    assert causes(letters.all()) == {"ada": 69, "bob": 68}

    mend_and_retry(run, world)
    assert letters.open().count() == 0
    assert effects() == once(*ROWS)
    states = Counter(letters.values_list("state", flat=True))
    assert states == {DeadLetter.State.RESOLVED: 137}
    assert (run.done, run.failed) == (863, 137)  # It tells how it went.


def hold_for_a_minute(run: Run, world: World) -> None:
    """Have the throttle hold, and pause and resume the run meanwhile."""
    world.close_for(MINUTE)
    run.resume(by="ada")
    assert advance(run).throttled_by == "is_closed"
    run.pause(by="ada")
    assert (run.status, run.throttled_by) == ("paused", "")
    clock.sleep(30)
    run.resume(by="ada")
    advance(run)
    assert (run.status, run.throttled_by) == ("interrupted", "is_closed")
    clock.sleep(30)
    assert Effect.objects.count() == LOCKED  # As far as it was a minute ago.


def mend_and_retry(run: Run, world: World) -> None:
    """Mend some, then the rest but for a slip, and then that."""
    letters = run.dead_letters
    hers = [row for row in sorted(BAD) if row % 2 == 0]
    world.answers = dict.fromkeys(hers[:30], "good")
    assert retry(letters.filter(error_message__startswith="ada")) == (30, 39)
    assert letters.open().count() == 107

    world.answers = dict.fromkeys(BAD, "good") | {hers[-1]: "gud"}
    assert retry(letters.all()) == (106, 1)
    assert causes(letters.all()) == {"What": 1}

    world.answers[hers[-1]] = "good"
    (slip,) = letters.open()
    before = slip.attempts
    assert retry(letters.all()) == (1, 0)
    slip.refresh_from_db()
    assert slip.attempts == before > 2


@pytest.mark.parametrize(
    ("bad", "attempts"),
    [
        ([0], [1]),  # Nothing is before it.
        ([5], [2]),  # Among others, and alone.
        ([5, 6, 7], [2, 1, 1]),  # What is before the second is saved, or failed.
        ([5, 7], [2, 2]),
    ],
)
def test_an_item_counts_two_attempts_where_others_come_before_it(
    known: Known, bad: list[int], attempts: list[int]
) -> None:
    executed = Counter[int]()

    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> list[int]:
            return list(range(20))

        def process(self, item: int) -> None:
            executed[item] += 1
            if item in bad:
                raise ValueError(f"no. {item}")

    run = Trial.run_now()
    kept = run.dead_letters.order_by("pk")
    assert list(kept.values_list("attempts", flat=True)) == attempts
    assert [executed[item] for item in bad] == attempts
