"""A worker that freezes and wakes up when another has taken over: it has no say."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests import without
from tests.integration.harness import (
    Point,
    Tripwire,
    clear,
    faults,
    freeze,
    has_ended,
    is_frozen,
    points_of_unbroken_run,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.integration.kinds import KINDS, Kind
from tests.testapp.maintenance import CountUpInChunks
from tests.testapp.models import Call, Item
from upkeep.execution.claim import Claim
from upkeep.models import Event, Run
from upkeep.runs.status import Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks"),
]

POINTS = 12  # of each series
POINTS_OF_SUITE, POINTS_OF_SOAK = 4, 40

Waking = Callable[[int, int, Run], None]

HOOKS = {
    Status.RUNNING: "after_start",
    Status.PAUSED: "after_pause",
    Status.INTERRUPTED: "after_interrupt",
    Status.SUCCEEDED: "after_complete",
    Status.ERRORED: "after_error",
}


# The points


@pytest.fixture
def held(items: list[Item], tmp_path: Path) -> list[Point]:
    """Return the points at which a worker holds the run."""
    return while_claimed(
        points_of_unbroken_run(CountUpInChunks.enqueue(), tmp_path / "points")
    )


@pytest.fixture
def points(held: list[Point], database_name: str) -> list[Point]:
    """Return points spread over all the time that a worker holds the run."""
    if database_name == "sqlite":
        # In a transaction a frozen worker has the only write lock of the project.
        held = [point for point in held if is_in_gap(point)]
    return spread(held)


def while_claimed(points: list[Point]) -> list[Point]:
    """Return the points between the commit of the claim and the worker's last move."""
    moves = [p.number for p in points if p.name.startswith("before UPDATE upkeep_run ")]
    commits = [point.number for point in points if point.name == "after _commit"]
    claimed = next(number for number in commits if number > moves[0])
    return [point for point in points if claimed <= point.number < moves[-1]]


def without_queue(points: list[Point]) -> list[Point]:
    """Leave out where the queue's own worker speaks: what it locks, we do not know."""
    ours, is_ours = [], True
    for point in points:
        if point.name.startswith("before UPDATE django_tasks_database_dbtaskresult"):
            is_ours = False
        elif point.name.startswith("before SELECT upkeep_run.id, upkeep_run.backend"):
            is_ours = True
        ours += [point] * is_ours
    return ours


def without_people(points: list[Point]) -> list[Point]:
    """Leave out the transactions of people: their sessions nobody ends."""
    ours, is_theirs, is_open = [], False, False
    for point in points:
        if point.name.startswith(WISH) and not is_open:
            is_theirs = True
        elif point.name == "after _commit":
            is_theirs = False
        ours += [point] * (not is_theirs)
        is_open = point.in_transaction
    return ours


WISH = "before UPDATE upkeep_run SET status = %s, reason = %s WHERE "


def is_in_gap(point: Point) -> bool:
    """Tell whether the worker has no transaction open, by itself or by SQLite."""
    # An INSERT of one row is over only when its key has been fetched.
    inside = ("after BEGIN IMMEDIATE", "before _commit", "after INSERT")
    return not point.in_transaction and not point.name.startswith(inside)


def spread(points: list[Point], number: int = POINTS) -> list[Point]:
    return points[:: max(1, len(points) // number)]


# The series


def wake_after(frozen: int, rescuer: int, run: Run) -> None:
    """Wake the frozen worker when another has brought the run to its end."""
    assert wait_until(lambda: has_ended(rescuer), timeout=10), "the rescuer is held up"
    os.kill(frozen, signal.SIGCONT)


def wake_during(frozen: int, rescuer: int, run: Run) -> None:
    """Wake the frozen worker when another has just taken the run over."""
    token = Run.objects.get(pk=run.pk).lease_token
    wait_until(lambda: not Run.objects.filter(pk=run.pk, lease_token=token).exists())
    os.kill(frozen, signal.SIGCONT)
    wait_until(lambda: has_ended(rescuer))


def freeze_at(point: Point, wake: Waking) -> list[str]:
    """Let a worker freeze at a point, be replaced, and wake; return what is wrong."""
    clear()
    run = CountUpInChunks.enqueue()
    with process(lambda: work_off_queue(Tripwire(point.number, freeze))) as frozen:
        assert wait_until(lambda: is_frozen(frozen))
        with process(rescue) as rescuer:
            wake(frozen, rescuer, run)
            wait_until(lambda: has_ended(frozen), timeout=10)
    return [f"{point}: {fault}" for fault in faults(run)]


@pytest.mark.parametrize("wake", [wake_after, wake_during])
def test_a_worker_that_wakes_after_its_lease_changes_nothing(
    wake: Waking,
    points: list[Point],
    capsys: pytest.CaptureFixture[str],
    database_name: str,
) -> None:
    wrong = [fault for point in points for fault in freeze_at(point, wake)]
    with capsys.disabled():
        print(f"\nfrozen at {len(points)} points on {database_name}: {len(wrong)} bad")
    assert wrong == []


def test_one_that_wakes_when_it_has_just_looked_changes_nothing(
    held: list[Point],
) -> None:
    """No session of it is there to be ended then: nothing stops it but the fence."""
    points = just_looked(held)
    assert len(points) == 3
    assert not [fault for point in points for fault in freeze_at(point, wake_after)]


def just_looked(held: list[Point]) -> list[Point]:
    """Return the points at which a worker has seen that the run is its own."""
    return [p for p in held if p.name.startswith("after SELECT upkeep_run.status")]


def test_one_that_freezes_amid_its_chunk_holds_nobody_up(
    held: list[Point], on_a_server: None
) -> None:
    assert not freeze_at(amid_a_chunk(held), wake_after)


def amid_a_chunk(held: list[Point]) -> Point:
    """Return a point at which a worker has locked a row."""
    return next(p for p in held if p.name.startswith("after UPDATE testapp_item"))


@pytest.fixture
def on_a_server(database_name: str) -> None:
    if database_name == "sqlite":
        pytest.skip("by design: SQLite has no session that another could end")


# With items that fail

FROZEN = [kind for kind in KINDS if kind.name != "all go well"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a worker that froze has told, and what of its moves is left to tell."""

    told: Counter[str]
    moves: Counter[str]

    @classmethod
    def by(cls, pid: int, run: Run) -> Said:
        """Look at what a frozen worker has done so far."""
        calls = Call.objects.filter(process=pid).values_list("name", flat=True)
        untold = run.events.filter(kind=Event.Kind.MOVE, announce_at__isnull=False)
        moves = [HOOKS.get(Status(event.status), "") for event in untold]
        return cls(Counter(calls), Counter(moves))

    def faults(self, now: Said) -> list[str]:
        """Return what a worker has told since that was no move of its own."""
        strange = now.told - self.told - self.moves
        return [f"who woke up called {dict(strange)}"] if strange else []


def freeze_failing_at(point: Point, kind: Kind, wake: Waking) -> list[str]:
    """Let a worker of a run whose items fail freeze, be replaced, and wake."""
    clear()
    run = kind.begin()
    with process(partial(kind.work, Tripwire(point.number, freeze))) as frozen:
        assert wait_until(lambda: is_frozen(frozen))
        before = Said.by(frozen, run)
        with process(kind.rescue) as rescuer:
            wake(frozen, rescuer, run)
            wait_until(lambda: has_ended(frozen), timeout=10)
    found = kind.faults(run)
    # One that wakes sooner may take the run up again, with a claim of its own.
    if wake is wake_after:
        found += before.faults(Said.by(frozen, run))
    return [f"{point}: {fault}" for fault in found]


@pytest.mark.usefixtures("ledger_of_begun")
@pytest.mark.parametrize("wake", [wake_after, wake_during])
@pytest.mark.parametrize("kind", FROZEN, ids=lambda kind: kind.name)
def test_what_a_worker_that_wakes_says_of_items_that_fail_does_not_count(
    items: list[Item],
    tmp_path: Path,
    every_point: bool,
    database_name: str,
    tell_tried: Callable[..., None],
    kind: Kind,
    wake: Waking,
) -> None:
    begun = time.monotonic()
    points = points_of_unbroken_run(
        kind.begin(),
        tmp_path / "points",
        work=kind.work,
        faults_of=kind.faults_unbroken,
    )
    held = without_people(without_queue(while_claimed(points)))
    if database_name == "sqlite":
        held = [point for point in held if is_in_gap(point)]
    tried = spread(held, POINTS_OF_SOAK if every_point else POINTS_OF_SUITE)
    wrong = [found for each in tried if (found := freeze_failing_at(each, kind, wake))]
    tell_tried(
        f"{kind.name}, {wake.__name__}",
        tried=len(tried),
        points=len(held),
        bad=len(wrong),
        seconds=round(time.monotonic() - begun, 1),
    )
    assert wrong == []


# The protections, taken away


def test_without_the_fence_a_worker_that_wakes_repeats_its_chunk(
    held: list[Point],
) -> None:
    """Show that the tests above can fail: what they find is what it prevents."""
    with without.fence():
        assert any(freeze_at(point, wake_after) for point in just_looked(held))


@pytest.mark.usefixtures("ledger_of_begun")
def test_without_the_fence_a_worker_that_wakes_keeps_dead_letters_again(
    items: list[Item], tmp_path: Path
) -> None:
    kind = next(kind for kind in FROZEN if kind.name == "some fail")
    with without.fence():  # Without it a worker says less to its database.
        points = points_of_unbroken_run(
            kind.begin(),
            tmp_path / "points",
            work=kind.work,
            faults_of=kind.faults_unbroken,
        )
        gaps = [point for point in while_claimed(points) if is_in_gap(point)]
        found = (freeze_failing_at(point, kind, wake_after) for point in spread(gaps))
        assert any(
            "the dead letters are" in each for each in chain.from_iterable(found)
        )


@pytest.mark.usefixtures("ledger_of_begun")
def test_where_a_hook_is_called_before_its_move_a_worker_that_wakes_calls_it(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Claim.end

    def call_and_end(self: Claim, *args: Any, **changes: Any) -> None:
        self.run.task_class().after_complete()
        end(self, *args, **changes)

    monkeypatch.setattr(Claim, "end", call_and_end)
    kind = next(kind for kind in FROZEN if kind.name == "some fail")
    points = points_of_unbroken_run(
        kind.begin(), tmp_path / "points", work=kind.work, faults_of=lambda _run: []
    )
    calls = [p for p in points if p.name.startswith("before INSERT INTO testapp_call")]
    found = freeze_failing_at(calls[1], kind, wake_after)
    assert [each for each in found if "who woke up called" in each]


def test_without_eviction_the_next_worker_is_held_up(
    held: list[Point], on_a_server: None
) -> None:
    """Show that a frozen worker's row locks hold, until its session is ended."""
    point = amid_a_chunk(held)
    clear()
    run = CountUpInChunks.enqueue()
    with process(lambda: work_off_queue(Tripwire(point.number, freeze))) as frozen:
        assert wait_until(lambda: is_frozen(frozen))
        with without.eviction(), process(rescue) as rescuer:
            assert not wait_until(lambda: has_ended(rescuer), timeout=3)
    # Now the frozen worker is dead, and its locks with it.
    with process(rescue) as rescuer:
        assert wait_until(lambda: has_ended(rescuer))
    assert faults(run) == []
