"""How many dead letters there are, as far as that is cheap to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django.db import connections
from django.db.models import BigIntegerField, OuterRef, Subquery

from upkeep.databases import home
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.db.models import QuerySet

    from upkeep.runs.dead_letters import DeadLetterQuerySet

# A database counts rows one by one; of more it is only told that there are more.
MOST = 10_000

State = DeadLetter.State


class CountUpTo(Subquery):
    """Counts the rows of a query, and stops behind the first `MOST`."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"

    def __init__(self, rows: QuerySet[Any]) -> None:
        some = rows.order_by().values("pk")[: MOST + 1]
        super().__init__(some, output_field=BigIntegerField())


def in_words(count: int) -> str:
    """Say such a count."""
    return f"{MOST:,}+" if count > MOST else f"{count:,}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many dead letters of a run or a function are in each state."""

    counts: Mapping[str, int]

    @classmethod
    def of(cls, letters: DeadLetterQuerySet) -> Self:
        """Count them, at the price of a short query for each state."""
        some = {state: letters.filter(state=state) for state in State.values}
        return cls(
            {
                state: found.order_by().values("pk")[: MOST + 1].count()
                for state, found in some.items()
            }
        )

    @classmethod
    def told_by(cls, run: Run) -> Self:
        """Return what was asked for together with the run."""
        return cls({state: getattr(run, f"letters_{state}") for state in State.values})

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return any(self.counts.values())

    @property
    def open(self) -> int:
        """How many nobody has seen to."""
        return self.counts[State.OPEN]

    @property
    def lines(self) -> Iterator[tuple[str, str, str]]:
        """The states that there are: the value, what it is called, and how many."""
        for state in State:
            if self.counts[state]:
                yield state.value, str(state.label), in_words(self.counts[state])

    @property
    def as_json(self) -> dict[str, int]:
        """The counts by state."""
        return dict(self.counts)


def with_tally(pk: int) -> dict[str, CountUpTo]:
    """Return what is to be asked for together with a run, for `Tally.told_by`."""
    letters = DeadLetter.objects.using(home()).filter(run=pk)
    return {
        f"letters_{state}": CountUpTo(letters.filter(state=state))
        for state in State.values
    }


def an_open_one(run: OuterRef) -> Subquery:
    """
    Return an open dead letter of each run of a query, at one look at the index.

    Of `Exists` PostgreSQL makes a join with all letters. Of the first that fits it
    believes that it comes soon in the table itself, and reads all of it where there is
    none. Only the index has the order that it is asked for here; MariaDB would sort.
    """
    letters = DeadLetter.objects.using(home()).filter(run=run)
    if connections[home()].vendor == "postgresql":
        letters = letters.filter(state__range=(State.OPEN, State.OPEN))
        letters = letters.order_by("state", "pk")
    else:
        letters = letters.open().order_by()
    return Subquery(letters.values("pk")[:1])


def open_in(runs: Sequence[Run]) -> dict[int, int]:
    """Count the open dead letters of some runs, with one query."""
    if not runs:
        return {}
    letters = DeadLetter.objects.using(home()).open()
    counts = {run.pk: CountUpTo(letters.filter(run=run.pk)) for run in runs}
    one = Run.objects.using(home()).filter(pk=runs[0].pk).order_by()
    found = list(one.values_list(*counts.values()))
    return dict(zip(counts, found[0], strict=True)) if found else {}
