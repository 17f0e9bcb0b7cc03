"""A worker killed at any statement: nothing is lost, nothing is done twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from django.db import transaction

from tests import without
from tests.integration.harness import (
    Point,
    Tripwire,
    clear,
    die,
    exit_code,
    has_ended,
    points_of_unbroken_run,
    process,
    wait_until,
)
from tests.integration.kinds import KINDS, Kind
from tests.testapp.models import Item
from upkeep.execution import announcements, executor, settlement
from upkeep.execution.settlement import PassedOver, Settlement
from upkeep.models import Event, Run
from upkeep.runs.status import Status
from upkeep.tasks.policies import PassOver, Rule

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks", "ledger_of_begun"),
]


def faults_when_killed(kind: Kind, point: Point) -> list[str]:
    """Return what is wrong with a run whose worker was killed at a point."""
    clear()
    run = kind.begin()
    with process(partial(kind.work, Tripwire(point.number, die))) as pid:
        is_killed = exit_code(pid) == -signal.SIGKILL
    found = [] if is_killed else ["the worker never came there"]
    found += kind.faults_meanwhile(run)
    with process(kind.rescue) as pid:
        wait_until(lambda: has_ended(pid))
    return [f"{point}: {fault}" for fault in [*found, *kind.faults(run)]]


@pytest.fixture
def bad_of(
    items: list[Item],
    tmp_path: Path,
    every_point: bool,
    tell_tried: Callable[..., None],
) -> Callable[..., list[list[str]]]:
    """Return what kills workers of a kind of run, and finds what is wrong then."""

    def kill(kind: Kind, name: str) -> list[list[str]]:
        begun = time.monotonic()
        points = points_of_unbroken_run(
            kind.begin(),
            tmp_path / "points",
            work=kind.work,
            faults_of=kind.faults_unbroken,
        )
        tried = points if every_point else points[:: kind.step]
        wrong = [faults_when_killed(kind, point) for point in tried]
        bad = [faults for faults in wrong if faults]
        tell_tried(
            name,
            tried=len(tried),
            points=len(points),
            bad=len(bad),
            seconds=round(time.monotonic() - begun, 1),
        )
        return bad

    return kill


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_effect_happens_once_wherever_the_worker_is_killed(
    bad_of: Callable[..., list[list[str]]], kind: Kind
) -> None:
    assert bad_of(kind, kind.name) == []


# What Django asks for on both, read committed, the test above has.
STRICTER = ["repeatable read", "serializable"]
STEP_OF_STRICTER = 37


@pytest.mark.parametrize("isolation", STRICTER, indirect=True)
@pytest.mark.parametrize("name", ["all go well", "some fail"])
def test_and_so_it_is_where_transactions_are_kept_apart_more_strictly(
    bad_of: Callable[..., list[list[str]]],
    database_name: str,
    isolation: str,
    name: str,
) -> None:
    if database_name == "sqlite":
        pytest.skip("by design: SQLite has one level of isolation")
    kind = replace(named(name), step=STEP_OF_STRICTER)
    assert bad_of(kind, f"{name}, {isolation}") == []


def named(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


# The protections, taken away


def faults_at(kind: Kind, place: str, notes: Path) -> Iterator[str]:
    """Yield what is wrong when workers are killed wherever they come to a place."""
    clear()
    points = points_of_unbroken_run(
        kind.begin(), notes, work=kind.work, faults_of=kind.faults_unbroken
    )
    for point in points:
        if point.name.startswith(place):
            yield from faults_when_killed(kind, point)


def test_who_is_killed_behind_a_commit_repeats_nothing(
    items: list[Item], tmp_path: Path
) -> None:
    kind = named("all go well")
    assert not list(faults_at(kind, "after _commit", tmp_path / "points"))


def test_where_the_place_is_saved_behind_the_commit_effects_are_repeated(
    items: list[Item], tmp_path: Path
) -> None:
    with without.order_of_writes():
        found = faults_at(named("some fail"), "after _commit", tmp_path / "points")
        assert any("the effects have too much" in fault for fault in found)


def test_where_dead_letters_are_written_behind_the_counts_they_are_lost(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_later(run: Run, found: list[PassedOver], secrets: frozenset[str]) -> None:
        letters = list(found)
        transaction.on_commit(lambda: settlement.keep(run, letters, secrets))

    monkeypatch.setattr(executor, "keep", keep_later)
    written = "before INSERT INTO upkeep_deadletter"
    for name in (
        "some fail",
        "some fail, not atomic",
        "batches with bad records",
    ):
        found = faults_at(named(name), written, tmp_path / "points")
        assert any("the dead letters are" in fault for fault in found)


def test_where_a_move_counts_as_told_before_the_hook_is_called_it_is_lost(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(event: Event) -> bool:
        row = Event.objects.filter(pk=event.pk, announce_at=event.announce_at)
        return bool(row.update(announce_at=None))

    monkeypatch.setattr(announcements, "_take", take)
    found = faults_at(
        named("a Job in vain, after a long wait"),
        "before INSERT INTO testapp_call",
        tmp_path / "points",
    )
    assert len([each for each in found if "hooks that were not called" in each]) == 3


def test_where_what_handles_an_item_is_committed_by_itself_it_is_repeated(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hand_over(self: Settlement, rule: Rule, method: str) -> None:
        with self.claim.transaction():
            getattr(self.task, method)(self.failure.error, self.hand.item)
        with self.claim.transaction():
            self._write_behind("done")

    monkeypatch.setattr(Settlement, "_hand_over", hand_over)
    found = faults_at(named("some fail"), "after _commit", tmp_path / "points")
    assert any("the effects have too much: {9: 2}" in fault for fault in found)


def test_where_a_job_is_counted_before_it_is_discarded_it_succeeds(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pass_over(self: Settlement, verdict: PassOver) -> None:
        passed = PassedOver(self.failure, self.hand, verdict, place=self.run.cursor)
        with self.claim.transaction():
            self._write_behind("failed")
            settlement.keep(self.run, [passed], self.executor.secrets)
        self.claim.end(Status.DISCARDED)

    monkeypatch.setattr(Settlement, "_pass_over", pass_over)
    kind = named("a Job in vain, after a long wait")
    found = faults_at(kind, "after _commit", tmp_path / "points")
    assert any("the run is succeeded" in fault for fault in found)
