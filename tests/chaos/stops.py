"""How long a worker takes to stop that is told to, however long its item is."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from tests.chaos.arena import Arena
from tests.chaos.ledger import Plan
from tests.chaos.machines import Machine
from tests.chaos.maintenance import Records, RecordsOutside
from tests.testapp.models import Effect
from upkeep.models import Run
from upkeep.runs.status import Status

LENGTHS = (0.01, 0.1, 0.5, 1, 2, 5)  # seconds, of an item
ITEMS = 1000
PATIENCE = 30.0


def stops(
    arena: Arena, *, seed: int, count: int, lengths: Sequence[float] = LENGTHS
) -> dict[str, Any]:
    """Tell a worker to stop, so many times, and return the worst of what it took."""
    print(f"seed {seed}", file=sys.stderr, flush=True)
    chance = random.Random(seed)
    found = Stops()
    with (arena.folder / "workers.log").open("ab") as log:
        for number in range(count):
            plan = Plan(
                kind=chance.choice([Records, RecordsOutside]),
                first=number * ITEMS + 1,
                count=ITEMS,
                seconds=lengths[number % len(lengths)],
            )
            found.stop(Machine(arena.environment, log), plan, chance)
    return {"seed": seed, **vars(found)}


@dataclass
class Stops:
    """What came of stops; seconds are counted from the signal."""

    stops: int = 0
    saved_after: float = 0.0
    """Until the place was saved and the run let go."""

    saved_beyond_item: float = 0.0
    """The same, without the length of an item."""

    ended_after: float = 0.0
    """Until supervisor and worker were gone."""

    without_reason: int = 0
    lost: int = 0
    twice: int = 0

    def stop(self, machine: Machine, plan: Plan, chance: random.Random) -> None:
        """Stop a machine in the midst of a run."""
        try:
            run = plan.enqueue()
            wait_until_it_works(run)
            time.sleep(chance.uniform(0, plan.seconds + 0.5))
            moment = timezone.now()
            self.ended_after = worst(self.ended_after, machine.stop())
        finally:
            machine.end()
        self._time(run, plan, moment)
        self._count(run, plan)
        run.cancel()  # Else the next machine would go on with it.

    def _time(self, run: Run, plan: Plan, moment: datetime) -> None:
        run.refresh_from_db()
        let_go = run.events.filter(status=Status.INTERRUPTED).latest("pk")
        took = (let_go.created_at - moment).total_seconds()
        self.saved_after = worst(self.saved_after, took)
        self.saved_beyond_item = worst(self.saved_beyond_item, took - plan.seconds)
        self.without_reason += not run.reason.startswith("Its worker was told to stop")

    def _count(self, run: Run, plan: Plan) -> None:
        """Each item that counts as done has its one effect, and no other has."""
        effects = list(
            Effect.objects.filter(item__in=plan.items).values_list("item", flat=True)
        )
        self.stops += 1
        self.lost += len(set(plan.items[: run.done]) - set(effects))
        self.twice += max(len(effects) - run.done, 0)


def worst(before: float, seconds: float) -> float:
    """Return the longer time."""
    return round(max(before, seconds), 2)


def wait_until_it_works(run: Run) -> None:
    """Wait until a worker holds the run."""
    until = time.monotonic() + PATIENCE
    while run.status != Status.RUNNING:
        assert time.monotonic() < until, f"{run} is {run.status}: {run.reason}"
        time.sleep(0.02)
        run.refresh_from_db()
