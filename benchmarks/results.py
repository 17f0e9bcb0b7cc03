"""What was measured, as a table for people and as JSON for whoever compares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

Pair = tuple[float, float]  # Rows a second: the engine's, the loop's.


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The pairs of one case on one database, and what they say."""

    name: str
    database: str
    against: str
    target: float  # 0: it is only looked at.
    pairs: Sequence[Pair] = field(repr=False)
    peak_mb: float | None

    @property
    def ratios(self) -> list[float]:
        """The share of the loop's speed that the engine had, pair by pair."""
        return [rate / baseline for rate, baseline in self.pairs]

    @property
    def ratio(self) -> float:
        """The median, which one disturbance does not move."""
        return median(self.ratios)

    @property
    def is_met(self) -> bool:
        """Tell whether the engine is as fast as it must be."""
        return self.ratio >= self.target

    def as_json(self) -> dict[str, Any]:
        """Return the result for `build/bench.json`."""
        return {
            "name": self.name,
            "database": self.database,
            "against": self.against,
            "rate": round(median(rate for rate, _ in self.pairs)),
            "baseline": round(median(baseline for _, baseline in self.pairs)),
            "ratio": round(self.ratio, 3),
            "target": self.target,
            "peak_mb": self.peak_mb,
        }


def table(results: Sequence[Result]) -> Table:
    """Set results out, a line for each, without what is the machine's: the rates."""
    lines = Table("case", "database", "times the speed of")
    for name in ("median", "from", "to", "target", "peak MB"):
        lines.add_column(name, justify="right")
    lines.add_column("")
    for result in results:
        lines.add_row(
            result.name,
            result.database,
            result.against,
            f"{result.ratio:.2f}",
            f"{min(result.ratios):.2f}",
            f"{max(result.ratios):.2f}",
            f"{result.target:.2f}" if result.target else "–",
            "–" if result.peak_mb is None else f"{result.peak_mb:.0f}",
            "" if not result.target else _verdict(result),
        )
    return lines


def _verdict(result: Result) -> str:
    return "[green]met" if result.is_met else "[red]MISSED"


def write(results: Sequence[Result], path: Path) -> None:
    """Write the results as a list of JSON objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = [result.as_json() for result in results]
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
