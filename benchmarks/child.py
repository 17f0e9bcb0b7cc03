"""
Measure one case on one database, in a process that does nothing else.

`pairs NAME N` prints a line of JSON for each pair: rows a second of the engine and of
the loop. `peak NAME` prints the megabytes that the engine alone needed at most.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.test.utils import setup_databases

if TYPE_CHECKING:
    from benchmarks.cases import Case


def main(what: str, name: str, pairs: str = "0") -> None:
    """Measure, and print what was found."""
    django.setup()
    from benchmarks.cases import CASES  # noqa: PLC0415 - it needs Django's models

    case = CASES[name]
    if what == "peak":
        case.by_task()
        print(json.dumps(peak_megabytes()))
        return
    setup_databases(verbosity=0, interactive=False, keepdb=True)
    case.prepare()
    for pair in measured(case, int(pairs)):
        print(json.dumps(pair), flush=True)
    case.reset()  # For the measurement of the peak.


def measured(case: Case, pairs: int) -> Iterator[tuple[float, float]]:
    """Yield rows a second by task and by hand, whose turns alternate."""
    few, all_of_them = case.rows_by_hand or case.rows, case.rows

    def by_hand() -> float:
        return rate(case, case.by_hand, few)

    def by_task() -> float:
        return rate(case, case.by_task, all_of_them)

    by_hand(), by_task()  # Once in vain: caches are filled, statements known.
    for number in range(pairs):
        if number % 2:
            baseline, found = by_hand(), by_task()
        else:
            found, baseline = by_task(), by_hand()
        yield found, baseline


def rate(case: Case, work: Callable[[], None], rows: int) -> float:
    """Return how many rows a second the work is done at; raise if it is not done."""
    case.reset()
    gc.collect()
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    if (done := case.done()) != rows:
        raise RuntimeError(f"{case.name}: {done} rows are done, not {rows}.")
    return rows / seconds


def peak_megabytes() -> float | None:
    """Return the most memory that this process ever had, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return round(int(kilobytes[1]) / 1024, 1) if kilobytes else None


if __name__ == "__main__":
    main(*sys.argv[1:])
