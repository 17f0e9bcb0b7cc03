"""
What takes too long for each time: `make soak` prints figures and keeps them.

Words behind `python -m tools.soak` select what has one of them in its name.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests import large
from tests.servers import DATABASES
from tools import kills, servers

ROOT = Path(__file__).resolve().parent.parent
JSON = ROOT / "build" / "soak.json"

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """Something to measure, and the figures that must not be exceeded."""

    name: str
    measure: Callable[[Path], Figures]
    at_most: dict[str, float]

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


SOAKS = [
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
            name=f"workers killed at every point on {database}",
            measure=partial(kills.measured, database),
            at_most={"failed": 0, "bad": 0, "longest_seconds": 1200},
        )
        for database in DATABASES
    ),
]


def chosen(words: Sequence[str]) -> list[Soak]:
    """Return the soaks with one of the words in their names, and all without words."""
    found = [each for each in SOAKS if any(word in each.name for word in words or [""])]
    if not found:
        names = "\n".join(each.name for each in SOAKS)
        sys.exit(f"There is no soak with {' or '.join(words)} in its name:\n{names}")
    return found


def main(words: Sequence[str]) -> int:
    """Measure, print and keep what was found; 1 where something is too large."""
    complaints: list[str] = []
    for soak in chosen(words):
        print(f"\n==> {soak.name}", flush=True)
        found = soak.run()
        for name, value in found.items():
            print(f"{name:16}  {value}")
        keep(found, JSON)
        complaints += soak.complaints(found)
    print("", *complaints, sep="\n")
    return 1 if complaints else 0


def keep(found: Figures, path: Path) -> None:
    """Append figures to those of earlier times."""
    path.parent.mkdir(exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*before, found], indent=2) + "\n")


if __name__ == "__main__":
    servers.provide()
    sys.exit(main(sys.argv[1:]))
