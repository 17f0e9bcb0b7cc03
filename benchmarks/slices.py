"""
One run over millions of rows, slice by slice beside the same rows by hand.

For each slice stands its share of the speed of a loop written by hand that walks the
same rows right before or behind it, so that what else the machine does meanwhile is the
same for both. It shows whether a run slows down on its way, or needs more and more
memory. `python -m benchmarks.slices` measures, `--rows` with fewer rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import django
from django.db import connection
from django.test.utils import setup_databases

from tests import servers
from tests.large import memory

ROWS = 5_000_000
SLICES = 20
AT_ONCE = 100_000  # Rows that a statement makes.

# So many slices at each end tell whether there is a trend.
ENDS = 5

NUMBERS = {
    "postgresql": "SELECT n FROM generate_series({first}, {last}) AS numbers(n)",
    "mysql": "SELECT seq AS n FROM seq_{first}_to_{last}",
    "sqlite": (
        "WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 "
        "FROM numbers WHERE n < {last}) SELECT n FROM numbers"
    ),
}
TEXT = {
    "postgresql": "repeat('x', n % 1000)",
    "mysql": "repeat('x', n % 1000)",
    "sqlite": "substr(replace(hex(zeroblob(500)), '0', 'x'), 1, n % 1000)",
}


def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slices")
    parser.add_argument("--database", action="append", choices=list(servers.DATABASES))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measured_here(options.rows)))
        return 0
    with servers.unwinding_on_sigterm():
        for database in options.database or servers.DATABASES:
            print(json.dumps(measured(database, options.rows)), flush=True)
    return 0


def measured(database: str, rows: int = ROWS) -> dict[str, Any]:
    """Return what a process of its own found on a database."""
    command = [sys.executable, "-m", "benchmarks.slices", "--here", f"--rows={rows}"]
    with servers.DATABASES[database]() as settings:
        here = os.environ | {
            "UPKEEP_TEST_DATABASE": json.dumps(settings),
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        }
        done = subprocess.run(
            command,
            env=here,
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(ratios: Sequence[float], grown: Sequence[float]) -> dict[str, Any]:
    """
    Return what the slices say together.

    `slower` and `fading` are shares: of the loop's speed that the median slice lacks,
    and of the first slices' speed that the last ones lack.
    """
    first, last = median(ratios[:ENDS]), median(ratios[-ENDS:])
    return {
        "ratios": [round(ratio, 2) for ratio in ratios],
        "slower": round(1 - median(ratios), 3),
        "fading": round(1 - last / first, 3),
        "grown_mb": round(max(grown), 1),
    }


# In the process that measures


def measured_here(rows: int) -> dict[str, Any]:
    """Fill the table, and walk it in slices."""
    django.setup()
    setup_databases(verbosity=0, interactive=False, keepdb=True)
    fill(rows)
    found = list(slices(rows))
    return {"rows": rows, **figures(*map(list, zip(*found, strict=True)))}


def fill(rows: int) -> None:
    """Have the keys 1 to `rows` in the table, with texts of up to 1 kB."""
    from benchmarks.cases import analyze  # noqa: PLC0415 - it needs Django's models
    from benchmarks.models import Essay  # noqa: PLC0415

    text = TEXT[connection.vendor]
    for first in range(1, rows + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, rows)
        numbers = NUMBERS[connection.vendor].format(first=first, last=last)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {Essay._meta.db_table} (id, text)"
                f" SELECT n, {text} FROM ({numbers}) AS numbers"
            )
    analyze(Essay)


def slices(rows: int) -> Iterator[tuple[float, float]]:
    """Yield the ratio of each slice, and the megabytes it had more than the start."""
    walk, at_the_start = Walk(rows // SLICES), memory("VmRSS")
    for number in range(SLICES):
        Path("/proc/self/clear_refs").write_text("5")  # Forget the peak until now.
        if number % 2:
            hand, task = seconds(walk.by_hand), seconds(walk.by_task)
        else:
            task, hand = seconds(walk.by_task), seconds(walk.by_hand)
        yield hand / task, memory("VmHWM") - at_the_start


class Walk:
    """A run that is taken up for each slice anew, and a loop over the same rows."""

    def __init__(self, size: int) -> None:
        from benchmarks.maintenance import LookAtEssays  # noqa: PLC0415 - see fill()

        self.size = size
        self.run: Any = LookAtEssays
        self.walked = 0  # By hand.

    def by_task(self) -> None:
        """Have the run go on for a slice."""
        from upkeep.testing import run_inline  # noqa: PLC0415 - it needs settings

        before = getattr(self.run, "done", 0)
        self.run = run_inline(self.run, stop_after=self.size)
        if self.run.done != before + self.size:
            raise RuntimeError(f"{self.run} is {self.run.status}: {self.run.reason}")

    def by_hand(self) -> None:
        """Walk the next slice by hand."""
        from benchmarks import cases, loops  # noqa: PLC0415 - they need Django's models
        from benchmarks.models import Essay  # noqa: PLC0415

        first, self.walked = self.walked, self.walked + self.size
        # Of two bounds below SQLite may go by the one of the slice, for each page.
        pages = loops.pages(Essay.objects.filter(pk__lte=self.walked), last=first)
        loops.walk(chain.from_iterable(pages), cases.look_at)


def seconds(work: Callable[[], None]) -> float:
    """Return how long some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
