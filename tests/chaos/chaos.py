"""Runs of all kinds, to which things happen for as long as one likes."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

from django.db import OperationalError

from tests.chaos.arena import Arena
from tests.chaos.faults import Faults
from tests.chaos.ledger import Figures, Plan
from tests.chaos.machines import Machine
from tests.chaos.maintenance import (
    Counting,
    InBatches,
    Records,
    RecordsOutside,
    Rows,
    WithRules,
)
from upkeep.models import Event, Run
from upkeep.runs.sources import Source
from upkeep.runs.status import ENDED

MACHINES = 3
RUNS_AT_ONCE = 3
LOOK_EVERY = 0.1  # seconds
PATIENCE = 240.0  # seconds in which all runs must end when nothing happens any more


@dataclass
class Watched:
    """A run that is not over, and since when it stands still."""

    plan: Plan
    run: Run
    place: tuple[Any, ...] = ()
    since: float = field(default_factory=monotonic)

    def look(self) -> float:
        """Read the run again; return for how many seconds it had stood still."""
        self.run.refresh_from_db()
        stood = monotonic() - self.since
        place = (self.run.reached, self.run.status, self.run.attempts)
        if place != self.place:
            self.place, self.since = place, monotonic()
        return stood


class Story:
    """Machines, runs, and those who see what becomes of them."""

    def __init__(
        self, arena: Arena, seed: int, machines: list[Machine], *, only: str
    ) -> None:
        self.chance = random.Random(seed)
        self.machines = machines
        self.faults = Faults(arena, machines, self.chance, only=only)
        self.watched: list[Watched] = []
        self.figures = Figures()
        self.worst_standstill = 0.0
        self.most_patient: Run | None = None
        self._first = 1  # MariaDB takes no key 0.

    def begin(self, plan: Plan) -> None:
        """Start a run."""
        self._first += plan.count
        self.watched.append(Watched(plan, self._enqueued(plan)))

    def _enqueued(self, plan: Plan) -> Run:
        """Enqueue a run: who is frozen may have SQLite to itself, and we wake it."""
        until = monotonic() + PATIENCE
        while monotonic() < until:
            with suppress(OperationalError):
                return plan.enqueue()
            self.faults.see_to_the_rest()
        return plan.enqueue()

    def begin_any(self) -> None:
        """Start a run of any kind."""
        self.begin(Plan.drawn(self.chance, self._first))

    def begin_missing(self, kinds: Sequence[type[Counting]]) -> None:
        """Start runs, until one of each kind is on its way."""
        there = [one.plan.kind for one in self.watched]
        for kind in [kind for kind in kinds if kind not in there]:
            self.begin(Plan.drawn(self.chance, self._first, kinds=[kind]))

    def look_after(self) -> None:
        """See to all that is due, and audit the runs that are over."""
        self.faults.see_to_the_rest()
        for machine in self.machines:
            machine.keep_up()
        for one in list(self.watched):
            stood = one.look()
            if stood > self.worst_standstill:
                self.worst_standstill, self.most_patient = stood, one.run
            if one.run.status in ENDED:
                self.watched.remove(one)
                one.plan.audit(one.run, self.figures)

    def last(self, seconds: float) -> None:
        """Let so much time pass, and look after everything meanwhile."""
        self.go_on_while(lambda: True, at_most=seconds)

    def go_on_while(self, condition: Callable[[], bool], *, at_most: float) -> None:
        """Look after everything while a condition holds."""
        until = monotonic() + at_most
        while monotonic() < until and condition():
            self.look_after()
            time.sleep(LOOK_EVERY)

    def see_one_move(self) -> None:
        """Wait until a worker is at work."""
        before = sum(one.run.reached for one in self.watched)
        self.go_on_while(
            lambda: sum(one.run.reached for one in self.watched) == before,
            at_most=PATIENCE,
        )

    def see_all_end(self) -> None:
        """Let everything heal, and all runs come to their end."""
        self.faults.see_to_the_rest(at_once=True)
        self.go_on_while(lambda: bool(self.watched), at_most=PATIENCE)
        for one in self.watched:
            one.plan.audit(one.run, self.figures)

    def found(self) -> dict[str, Any]:
        """Return all figures."""
        figures = vars(self.figures) | {
            "worst_standstill": round(self.worst_standstill, 1),
            "takeovers": Event.objects.filter(source=Source.SWEEP).count(),
        }
        print(*figures.pop("stories"), sep="\n\n", file=sys.stderr)
        if self.most_patient:
            told = [
                f"{each.created_at} {each}" for each in self.most_patient.events.all()
            ]
            print("stood still longest:", *told, sep="\n", file=sys.stderr)
        return figures | {"faults": sum(self.faults.happened.values())}


@contextmanager
def story(
    arena: Arena,
    seed: int,
    *,
    machines: int = MACHINES,
    workers: int = 1,
    only: str = "",
) -> Iterator[Story]:
    """Have machines at work until the block ends."""
    print(f"seed {seed}", file=sys.stderr, flush=True)
    with (arena.folder / "workers.log").open("ab") as log:
        started = [
            Machine(arena.environment, log, workers=workers) for _ in range(machines)
        ]
        one = Story(arena, seed, started, only=only)
        try:
            yield one
        finally:
            one.faults.see_to_the_rest(at_once=True)
            for machine in started:
                machine.end()


def chaos(
    arena: Arena,
    *,
    seed: int,
    seconds: float = inf,
    faults: float = inf,
    pause: float = 2.5,
    only: str = "",
) -> dict[str, Any]:
    """
    Let anything happen to random runs, and count what was lost or done twice.

    It goes on for so many seconds or faults, about one each `pause`.
    """
    with story(arena, seed, only=only) as one:
        one.begin_missing([Records])
        one.see_one_move()
        until = monotonic() + seconds
        while monotonic() < until and one.faults.happened.total() < faults:
            while len(one.watched) < RUNS_AT_ONCE:
                one.begin_any()
            one.last(one.chance.uniform(0, 2 * pause))
            one.faults.happen()
        one.see_all_end()
        happened = dict.fromkeys(one.faults.kinds(), 0) | dict(one.faults.happened)
        return {"seed": seed, **one.found(), **happened}


AT_EACH_RESTART = (Records, RecordsOutside, InBatches, Rows, WithRules)


def restarts(arena: Arena, *, seed: int, count: int) -> dict[str, Any]:
    """Restart the database so many times while runs of all kinds advance."""
    with story(arena, seed, machines=1, workers=len(AT_EACH_RESTART)) as one:
        for _ in range(count):
            one.begin_missing(AT_EACH_RESTART)
            one.see_one_move()
            one.last(one.chance.uniform(0, 2))
            one.faults.restart_database()
            one.faults.happened["database restarted"] += 1
        one.see_all_end()
        return {"seed": seed, **one.found()}
