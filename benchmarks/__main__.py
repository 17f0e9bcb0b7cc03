"""Measure every case on every database; exit status 1 where a target is missed."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

import django
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks import results
from benchmarks.results import Result
from tests import servers

if TYPE_CHECKING:
    from benchmarks.cases import Case

ROOT = Path(__file__).resolve().parent.parent
JSON = ROOT / "build" / "bench.json"
DATABASES = ("sqlite", "postgresql", "mariadb")


def main() -> int:
    """Measure what was asked for, print it, write it down."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    from benchmarks.cases import CASES  # noqa: PLC0415 - it needs Django's models

    wanted = arguments(list(CASES))
    console = Console()
    with servers.unwinding_on_sigterm(), progress(console) as bar:
        found = [
            result
            for database in wanted.database or DATABASES
            for result in measure(
                [CASES[name] for name in wanted.only or CASES],
                database,
                wanted.pairs,
                bar,
            )
        ]
    results.write(found, JSON)
    console.print(results.table(found))
    console.print(f"{wanted.pairs} interleaved pairs each; {JSON.relative_to(ROOT)}")
    return 0 if all(result.is_met for result in found) else 1


def arguments(names: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="CASE",
        help=f"one of: {'; '.join(names)}. May be given several times.",
    )
    parser.add_argument("--database", action="append", choices=DATABASES)
    parser.add_argument("--pairs", type=int, default=7, help="for each (default: 7)")
    return parser.parse_args()


def measure(
    cases: Sequence[Case], database: str, pairs: int, bar: Progress
) -> Iterator[Result]:
    """Start a database, and yield the result of each case on it."""
    with surroundings(database):
        for case in cases:
            task = bar.add_task(f"{case.name} on {database}", total=pairs)
            yield Result(
                name=case.name,
                database=database,
                against=case.against,
                target=case.target_on(database),
                pairs=list(
                    bar.track(child("pairs", case.name, str(pairs)), task_id=task)
                ),
                peak_mb=next(child("peak", case.name)),
            )


@contextmanager
def surroundings(database: str) -> Iterator[None]:
    """Give the measuring processes a database, and a folder for their files."""
    with (
        TemporaryDirectory(prefix="upkeep-benchmarks-") as folder,
        servers.DATABASES[database]() as settings,
        mock.patch.dict(
            os.environ,
            UPKEEP_TEST_DATABASE=json.dumps(settings),
            UPKEEP_BENCHMARKS=folder,
        ),
    ):
        yield


def child(*order: str) -> Iterator[Any]:
    """Yield what a process of its own measures, as soon as it is known."""
    command = [sys.executable, "-m", "benchmarks.child", *order]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        yield from map(json.loads, process.stdout)
    if process.returncode:
        sys.exit(f"{' '.join(order)}: the measurement failed; see above.")


def progress(console: Console) -> Progress:
    """Return a bar that shows the pairs measured so far, and is gone afterwards."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
    )


if __name__ == "__main__":
    sys.exit(main())
