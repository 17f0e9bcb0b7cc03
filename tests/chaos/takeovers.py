"""How long it takes until a run goes on whose worker was killed."""

from __future__ import annotations

import random
import signal
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from django.utils import timezone

from tests.chaos.arena import Arena
from tests.chaos.ledger import Figures, Plan
from tests.chaos.machines import Machine, parent, send
from tests.chaos.maintenance import HoldOn
from upkeep.models import Run
from upkeep.runs.status import Status

IDLE = 2  # workers beside those that hold a run
ITEMS = 3
PATIENCE = 120.0


def takeovers(
    arena: Arena, *, seed: int, count: int, at_once: int = 10
) -> dict[str, Any]:
    """Kill so many workers, some side by side, and see their runs go on."""
    print(f"seed {seed}", file=sys.stderr, flush=True)
    chance = random.Random(seed)
    figures, waits = Figures(), list[float]()
    with ExitStack() as stack:
        log = stack.enter_context((arena.folder / "workers.log").open("ab"))
        machine = Machine(arena.environment, log, workers=at_once + IDLE)
        stack.callback(machine.end)
        while len(waits) < count:
            plans = [
                plan(len(waits) + n) for n in range(min(at_once, count - len(waits)))
            ]
            runs = [each.enqueue() for each in plans]
            for run in runs:
                wait_for(run, Status.RUNNING)
            killed = [kill_worker(machine, run, chance) for run in runs]
            for run, each, moment in zip(runs, plans, killed, strict=True):
                wait_for(run, Status.SUCCEEDED)
                assert run.ended_at is not None
                waits.append((run.ended_at - moment).total_seconds())
                each.audit(run, figures)
    return {
        "seed": seed,
        "takeovers": len(waits),
        "worst": round(max(waits), 1),
        "mean": round(sum(waits) / len(waits), 1),
        "lost": figures.lost,
        "again": figures.again,
    }


def plan(number: int) -> Plan:
    """Return a run that its first worker never lets go."""
    return Plan(kind=HoldOn, first=number * ITEMS + 1, count=ITEMS, seconds=0)


def kill_worker(machine: Machine, run: Run, chance: random.Random) -> datetime:
    """Kill the process that holds a run, after a while, and return when."""
    time.sleep(chance.uniform(0, 1))
    pid = int(run.worker.rpartition(":")[2])
    above = parent(pid)
    moment = timezone.now()
    send(pid, signal.SIGKILL)
    if above in machine.workers():  # What RQ forks for a job is below its worker.
        send(above, signal.SIGKILL)
    return moment


def wait_for(run: Run, status: Status) -> None:
    """Wait until a run comes into a status."""
    until = time.monotonic() + PATIENCE
    while run.status != status:
        assert time.monotonic() < until, f"{run} is {run.status}: {run.reason}"
        time.sleep(0.05)
        run.refresh_from_db()
