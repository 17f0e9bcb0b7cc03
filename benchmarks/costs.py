"""
What the engine says to its database, and how long each word takes.

A run is enqueued, claimed and walked in chunks of one item that does nothing. For each
of these steps stand its statements and the microseconds that they take together, COMMIT
included. `python -m benchmarks.costs` measures, `--database` on one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest import mock

import django
from django.db import connection
from django.test.utils import override_settings, setup_databases
from rich.console import Console
from rich.table import Table

from tests import servers

if TYPE_CHECKING:
    from upkeep.models import Run

TIMES = 100
SHORTEST = {"CHUNK": timedelta(microseconds=1)}

Words = list[tuple[str, float]]  # What was said, and the seconds until the answer.
Costs = dict[str, tuple[float, float]]  # Statements and microseconds, by step.


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs")
    parser.add_argument("--database", action="append", choices=list(servers.DATABASES))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        django.setup()
        setup_databases(verbosity=0, interactive=False, keepdb=True)
        print(json.dumps(measured()))
        return
    with servers.unwinding_on_sigterm():
        for database in options.database or servers.DATABASES:
            Console().print(table(database, apart(database)))


def apart(database: str) -> Costs:
    """Return the costs on a database, measured by a process that does nothing else."""
    command = [sys.executable, "-m", "benchmarks.costs", "--here"]
    with servers.DATABASES[database]() as settings:
        here = os.environ | {
            "UPKEEP_TEST_DATABASE": json.dumps(settings),
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        }
        done = subprocess.run(command, env=here, stdout=subprocess.PIPE, check=True)
    costs: Costs = json.loads(done.stdout.splitlines()[-1])
    return costs


def table(database: str, costs: Costs) -> Table:
    """Set the costs out, a line for each step."""
    lines = Table("step", "statements", "µs", title=f"What it costs on {database}")
    for step, (statements, microseconds) in costs.items():
        lines.add_row(step, f"{statements:.0f}", f"{microseconds:,.0f}")
    return lines


# In the process that measures


def measured() -> Costs:
    """Return what each step costs, as the median of many."""
    from benchmarks.maintenance import LookAtNumbers  # noqa: PLC0415 - needs settings
    from upkeep.execution.claim import Claim  # noqa: PLC0415
    from upkeep.execution.executor import Executor  # noqa: PLC0415

    runs: list[Run] = []
    enqueued = said_each_time(lambda: runs.append(LookAtNumbers.enqueue(numbers=1)))
    waiting = iter(runs)
    claimed = said_each_time(lambda: take(Claim, next(waiting)))
    with (
        override_settings(UPKEEP=SHORTEST),
        mock.patch.object(Executor, "_breathe"),  # SQLite's gap is no work.
        listening() as words,
    ):
        LookAtNumbers.run_now(numbers=TIMES)
    chunks = list(split(words))[TIMES // 10 : -1]
    return {
        "to enqueue a run": cost(enqueued),
        "of that, its message": cost([those_of(each, "tasks") for each in enqueued]),
        "to claim it": cost(claimed),
        "a chunk": cost(chunks),
        "of that, the run's row": cost(
            [those_of(each, "upkeep_run") for each in chunks]
        ),
        "of that, COMMIT": cost([those_of(each, "COMMIT") for each in chunks]),
    }


def take(claim: Any, run: Run) -> None:
    """Claim a run, as the worker does that has read its message."""
    if claim.take(run.pk, run.lease_token) is None:
        raise RuntimeError(f"{run} could not be claimed.")


def said_each_time(step: Callable[[], object]) -> list[Words]:
    """Return what is said in a step, each of many times."""
    found = []
    for _ in range(TIMES):
        with listening() as words:
            step()
        found.append(words)
    return found


def split(words: Words) -> Iterator[Words]:
    """Yield what is said in one transaction after the other that has a checkpoint."""
    chunk: Words = []
    for word in words:
        chunk.append(word)
        if word[0] == "COMMIT":
            if those_of(chunk, "UPDATE"):
                yield chunk
            chunk = []


def those_of(words: Words, name: str) -> Words:
    """Return the statements with a name in them."""
    return [word for word in words if name in word[0]]


def cost(times: list[Words]) -> tuple[float, float]:
    """Return how many statements a step has, and the microseconds for all of them."""
    return (
        median(len(words) for words in times),
        1e6 * median(sum(seconds for _, seconds in words) for words in times),
    )


@contextmanager
def listening() -> Iterator[Words]:
    """Gather what is said to the database meanwhile."""
    words: Words = []
    commit = getattr(connection, "_commit")  # noqa: B009 - no wrapper sees it

    def statement(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        return timed(sql, lambda: execute(sql, *rest))

    def timed(sql: str, say: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        try:
            return say()
        finally:
            words.append((sql, time.perf_counter() - begun))

    def timed_commit() -> None:
        timed("COMMIT", commit)

    with (
        connection.execute_wrapper(statement),
        mock.patch.object(connection, "_commit", timed_commit),
    ):
        yield words


if __name__ == "__main__":
    main()
