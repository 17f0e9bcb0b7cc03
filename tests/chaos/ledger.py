"""What is known beforehand of a run, and what has become of it in the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.maintenance import (
    EVERY,
    KEPT,
    PASSED_OVER,
    SIZE,
    Counting,
    InBatches,
    Records,
    RecordsInTurns,
    RecordsOutside,
    Rows,
    WithRules,
    WithRulesOutside,
)
from tests.testapp.models import Effect, Item
from upkeep.models import Run
from upkeep.runs.status import Status
from upkeep.testing import upload

KINDS: Sequence[type[Counting]] = (
    Records,
    RecordsOutside,
    RecordsInTurns,
    InBatches,
    Rows,
    WithRules,
    WithRulesOutside,
)


@dataclass
class Figures:
    """What was found in ledgers."""

    runs: int = 0
    items: int = 0
    lost: int = 0
    twice: int = 0
    """Effects too many where the promise says once."""

    again: int = 0
    """Effects too many where it says at least once."""

    miscounted: int = 0
    not_succeeded: int = 0
    stories: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run, and the items that are its alone."""

    kind: type[Counting]
    first: int
    count: int
    seconds: float

    @classmethod
    def drawn(
        cls,
        chance: random.Random,
        first: int,
        *,
        kinds: Sequence[type[Counting]] = KINDS,
    ) -> Plan:
        """Make one up whose run takes some seconds."""
        kind = chance.choice(kinds)
        seconds = chance.choice([0.002, 0.01, 0.05])
        count = round(chance.uniform(1, 6) / (seconds + 0.005))
        return cls(kind=kind, first=first, count=count, seconds=seconds)

    def enqueue(self) -> Run:
        """Write the items, and start the run."""
        Item.objects.bulk_create(
            (Item(pk=pk) for pk in self.items), batch_size=500, ignore_conflicts=True
        )
        return self.kind.enqueue(
            first=self.first,
            last=self.items[-1],
            seconds=self.seconds,
            **self._more(),
        )

    def _more(self) -> dict[str, Any]:
        if not issubclass(self.kind, Rows):
            return {}
        rows = "".join(f"{number}\n" for number in self.items)
        return {"csv_file": upload(f"n\n{rows}", name="rows.csv")}

    # How it must end

    @property
    def items(self) -> range:
        """All of its items."""
        return range(self.first, self.first + self.count)

    @property
    def kept(self) -> set[int]:
        """The items of which dead letters are."""
        return self._failing({KEPT})

    @property
    def skipped(self) -> set[int]:
        """The items that are passed over."""
        return self._failing(PASSED_OVER)

    def _failing(self, places: set[int]) -> set[int]:
        if not issubclass(self.kind, WithRules):
            return set()
        return {number for number in self.items if number % EVERY in places}

    def audit(self, run: Run, figures: Figures) -> None:
        """Add what has become of its run."""
        expected = set(self.items) - self.kept - self.skipped
        effects = Counter(
            Effect.objects.filter(
                item__gte=self.items.start, item__lt=self.items.stop
            ).values_list("item", flat=True)
        )
        missing = expected - set(effects)
        too_many = sum(effects.values()) - len(effects)
        uncalled_for = sum(effects[number] for number in set(effects) - expected)
        figures.runs += 1
        figures.items += self.count
        figures.lost += len(missing)
        if self.kind.atomic:
            figures.twice += too_many + uncalled_for
        else:
            figures.again += too_many
            figures.twice += uncalled_for
        wrong = self._miscounts(run, effects)
        figures.miscounted += len(wrong)
        figures.not_succeeded += run.status != Status.SUCCEEDED
        is_exact = not (uncalled_for or (self.kind.atomic and too_many))
        if missing or wrong or not is_exact or run.status != Status.SUCCEEDED:
            figures.stories.append(self._story(run, wrong, missing, effects))

    def _miscounts(self, run: Run, effects: Counter[int]) -> list[str]:
        units = len(self.items) - len(self.kept) - len(self.skipped)
        if issubclass(self.kind, InBatches):
            units = -(-units // SIZE)
        sums = Item.objects.filter(pk__in=self.items).values_list("pk", "n")
        found = {
            "done": (run.done, units),
            "failed": (run.failed, len(self.kept)),
            "skipped": (run.skipped, len(self.skipped)),
            "dead letters": (run.dead_letters.count(), len(self.kept)),
        }
        if self.kind.atomic:
            found["rows that agree with the ledger"] = (
                sum(n == effects[pk] for pk, n in sums),
                self.count,
            )
        return [
            f"{name}: {number}, and not {expected}"
            for name, (number, expected) in found.items()
            if number != expected
        ]

    def _story(
        self, run: Run, wrong: list[str], missing: set[int], effects: Counter[int]
    ) -> str:
        several = [(item, n) for item, n in effects.items() if n > 1]
        lines = [
            f"{run} ({self}) is {run.status}: {run.reason}",
            *wrong,
            f"missing {sorted(missing)[:20]}, several times {several[:20]}",
            *(f"{each.created_at} {each.actor} {each}" for each in run.events.all()),
        ]
        return "\n".join(lines)
