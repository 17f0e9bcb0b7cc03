"""
What takes too long for each time: `make soak` prints figures and keeps them.

Words behind `python -m tools.soak` select what has one of them in its name, and words
with a plus between them what has both: `chaos+mariadb`. With MUTATE in the environment
it takes the protections of the engine away instead, and sees that tests notice.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import slices
from tests import large
from tests.chaos.child import measured
from tests.servers import DATABASES, RESTARTABLE
from tools import kills, mutations, servers

ROOT = Path(__file__).resolve().parent.parent
JSON = ROOT / "build" / "soak.json"

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """Something to measure, and the figures that must not be exceeded."""

    name: str
    measure: Callable[[Path], Figures]
    at_most: Mapping[str, float]

    def run(self) -> Figures:
        """Measure in a folder that is gone afterwards."""
        with TemporaryDirectory() as folder:
            found = self.measure(Path(folder))
        return {"name": self.name, "at": datetime.now(UTC).isoformat(), **found}

    def complaints(self, found: Figures) -> list[str]:
        """Return a sentence for each figure that is too large."""
        return [
            f"{self.name}: {name} is {found.get(name)}, and at most {limit} is allowed"
            for name, limit in self.at_most.items()
            if found.get(name, math.inf) > limit
        ]


# How many stories of a run Hypothesis makes up, and where they are told.
EXAMPLES = 10_000
MACHINE = "tests/integration/test_machine.py"


def driven(_folder: Path, *, database: str) -> Figures:
    """Have a run go through many stories on a database."""
    begun = time.monotonic()
    # A test that hangs is ended after a quarter of an hour; this one takes longer.
    options = ["--quiet", f"--database={database}", "-o", "faulthandler_timeout=0"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, MACHINE],
        cwd=ROOT,
        env=os.environ | {"UPKEEP_TEST_EXAMPLES": str(EXAMPLES)},
        check=False,
    )
    seconds = round(time.monotonic() - begun)
    return {"examples": EXAMPLES, "seconds": seconds, "failed": done.returncode}


# How long chaos reigns on each database, and what decides on all that happens.
MINUTES = float(os.environ.get("MINUTES") or 30)
SEED = int(os.environ.get("SEED") or random.randrange(1_000_000))

NOTHING_LOST = {"lost": 0, "twice": 0, "miscounted": 0, "not_succeeded": 0}

# Beside a lease and a sweep there are workers whose supervisor waits up to 30 s.
STANDSTILL = 90  # seconds

LEASE = 30  # seconds, the default


def played(_folder: Path, *, scenario: str, **options: Any) -> Figures:
    """Play a scenario of real workers to its end."""
    begun = time.monotonic()
    found = measured(scenario, seed=SEED, **options)
    lasting = {"minutes": MINUTES} if "seconds" in options else {}
    return {"seconds": round(time.monotonic() - begun), **lasting, **found}


def sliced(_folder: Path, *, database: str) -> Figures:
    """Walk millions of rows, slice by slice beside the same rows by hand."""
    return slices.measured(database)


SOAKS = [
    *(
        Soak(
            name=f"chaos on {database}",
            measure=partial(
                played,
                scenario="chaos",
                database=database,
                lease=3,
                seconds=MINUTES * 60,
            ),
            at_most={**NOTHING_LOST, "worst_standstill": STANDSTILL},
        )
        for database in DATABASES
    ),
    *(
        Soak(
            name=f"30 restarts of {database}",
            measure=partial(
                played, scenario="restarts", database=database, lease=3, count=30
            ),
            at_most=NOTHING_LOST,
        )
        for database in RESTARTABLE
    ),
    *(
        Soak(
            name=f"50 stops on {database}",
            measure=partial(played, scenario="stops", database=database, count=50),
            at_most={
                "saved_after": 10,
                "saved_beyond_item": 1,
                "without_reason": 0,
                "lost": 0,
                "twice": 0,
            },
        )
        for database in DATABASES
    ),
    *(
        Soak(
            name=f"50 takeovers on {database}, messages in {queue}",
            measure=partial(
                played,
                scenario="takeovers",
                database=database,
                queue=queue,
                lease=LEASE,
                count=50,
            ),
            at_most={"worst": LEASE + 15, "lost": 0},
        )
        for database in DATABASES
        for queue in ("database", "rq")
    ),
    *(
        Soak(
            name=f"machine of one run on {database}",
            measure=partial(driven, database=database),
            at_most={"failed": 0},
        )
        for database in DATABASES
    ),
    Soak(
        name="1 GB of CSV with newlines in its values",
        measure=lambda folder: large.measured(folder, megabytes=1000),
        at_most={"grown_mb": 15, "resumed_seconds": 0.2, "resumed_bytes": 200_000},
    ),
    *(
        Soak(
            name=f"{slices.ROWS:,} rows in {slices.SLICES} slices on {database}",
            measure=partial(sliced, database=database),
            at_most={"slower": 0.1, "fading": 0.1, "grown_mb": 15},
        )
        for database in DATABASES
    ),
    *(
        Soak(
            name=f"workers {befallen} on {database}: {kind}",
            measure=partial(kills.measured, database, kind, tests),
            at_most={"failed": 0, "bad": 0, "seconds": 1200},
        )
        for database in DATABASES
        for befallen, kinds in kills.accidents(database).items()
        for kind, tests in kinds.items()
    ),
]

MUTATED = [
    *(
        Soak(
            name=f"nothing taken away on {database}",
            measure=partial(mutations.checked, database),
            at_most={"failed": 0, "broken": 0},
        )
        for database in DATABASES
    ),
    *(
        Soak(
            name=f"without {mutation.protection} on {database}",
            measure=partial(mutations.measured, mutation, database),
            at_most={"unnoticed": 0, "broken": 0},
        )
        for mutation in mutations.MUTATIONS
        for database in mutation.databases
    ),
]


def soaks() -> list[Soak]:
    """Return what there is to measure."""
    return MUTATED if os.environ.get("MUTATE") else SOAKS


def chosen(words: Sequence[str]) -> list[Soak]:
    """Return the soaks with one of the words in their names, and all without words."""
    found = [
        each
        for each in soaks()
        if any(
            all(part in each.name for part in word.split("+")) for word in words or [""]
        )
    ]
    if not found:
        names = "\n".join(each.name for each in soaks())
        sys.exit(f"There is no soak with {' or '.join(words)} in its name:\n{names}")
    return found


def main(words: Sequence[str]) -> int:
    """Measure, print and keep what was found; 1 where something is too large."""
    complaints: list[str] = []
    figures: list[Figures] = []
    for soak in chosen(words):
        print(f"\n==> {soak.name}", flush=True)
        try:
            found = soak.run()
        except subprocess.CalledProcessError as error:
            complaints.append(f"{soak.name}: it broke off. {error}")
            continue
        figures.append(found)
        is_mutated = "noticed_by" in found
        print(mutations.story(found) if is_mutated else table([found]), flush=True)
        keep(found, JSON)
        complaints += soak.complaints(found)
    if befallen := [each for each in figures if "faults" in each]:
        print("", table(befallen), sep="\n")
    if mutated := [each for each in figures if "noticed_by" in each]:
        print("", mutations.table(mutated), sep="\n")
    print("", *complaints, sep="\n")
    return 1 if complaints else 0


def table(figures: Sequence[Figures]) -> str:
    """Set out figures, one column each, by what they are of."""
    names = dict.fromkeys(name for each in figures for name in each)
    rows = [[name, *(str(each.get(name, "")) for each in figures)] for name in names]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def keep(found: Figures, path: Path) -> None:
    """Append figures to those of earlier times."""
    path.parent.mkdir(exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*before, found], indent=2) + "\n")


if __name__ == "__main__":
    servers.provide()
    sys.exit(main(sys.argv[1:]))
