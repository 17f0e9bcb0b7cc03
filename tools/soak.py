"""What takes too long for each time: `make soak` prints figures and keeps them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
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


SOAKS = [
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


def main() -> int:
    """Measure all, print and keep what was found; 1 where something is too large."""
    servers.provide("postgresql", "mariadb-server")
    complaints: list[str] = []
    for soak in SOAKS:
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
    sys.exit(main())
