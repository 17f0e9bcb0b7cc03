"""Tasks of all kinds, each of which works on items that are its run's alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from time import sleep
from typing import Any

from django import forms
from django.db.models import F, QuerySet

from tests.testapp.models import Effect, Item
from upkeep import Batches, Discard, Handle, Quarantine, Retry, Skip, Task, parameter
from upkeep.forms import CSVField
from upkeep.tasks.collections.files import CSVFile


class Counting(Task):
    """Add one to so many items, and write each effect down in the ledger."""

    abstract = True

    first: int = parameter(forms.IntegerField())
    last: int = parameter(forms.IntegerField())
    seconds: float = parameter(forms.FloatField(initial=0.0))
    """How long an item takes."""

    def collection(self) -> Any:
        return self.items()

    def items(self) -> QuerySet[Item]:
        """Return the items that are this run's."""
        return Item.objects.filter(pk__gte=self.first, pk__lte=self.last)

    def process(self, item: Any) -> None:
        sleep(self.seconds)
        count_up(item.pk)


def count_up(*items: int) -> None:
    """Have an effect on items."""
    Effect.objects.bulk_create(Effect(item=item) for item in items)
    Item.objects.filter(pk__in=items).update(n=F("n") + 1)


class Records(Counting):
    """Walk records, in transactions."""


class RecordsOutside(Counting):
    """Walk records without transactions."""

    atomic = False


class RecordsInTurns(Counting):
    """Walk records, and give the worker back again and again."""

    time_budget = timedelta(seconds=0.5)


SIZE = 5


class InBatches(Counting):
    """Walk some records at a time."""

    def collection(self) -> Any:
        return Batches(self.items(), size=SIZE)

    def process(self, items: QuerySet[Item]) -> None:
        sleep(self.seconds)
        count_up(*items.values_list("pk", flat=True))


class Rows(Counting):
    """Walk the rows of a file, each of which names an item."""

    csv_file: CSVFile = parameter(CSVField())

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: dict[str, str]) -> None:
        sleep(self.seconds)
        count_up(int(row["n"]))


class KeptError(Exception):
    """An error for which an item is kept."""


class UselessError(Exception):
    """An error for which an item is passed over."""


class CrookedError(Exception):
    """An error that can be handled."""


class PassingError(Exception):
    """An error that is gone the next time, or the time after that."""


# Of each thirty items, those that fail; all others are good.
EVERY = 30
KEPT, USELESS, SKIPPED, CROOKED, PASSING = 4, 9, 14, 19, 24
PASSED_OVER = {USELESS, SKIPPED}


class WithRules(Counting):
    """Walk records of which some fail, each in its own way."""

    on_error = [
        Quarantine(KeptError),
        Discard(UselessError),
        Handle(CrookedError, "straighten"),
        Retry(PassingError, attempts=100, wait=timedelta(0)),
    ]

    def process(self, item: Item) -> None:
        sleep(self.seconds)
        if fail := FAILURES.get(item.pk % EVERY):
            fail()
        count_up(item.pk)

    def straighten(self, error: Exception, item: Item) -> None:
        """See to an item that failed."""
        count_up(item.pk)


def _raising(error: type[Exception], *, how_often: float = 1) -> Callable[[], None]:
    def fail() -> None:
        if random.random() < how_often:
            raise error

    return fail


FAILURES = {
    KEPT: _raising(KeptError),
    USELESS: _raising(UselessError),
    SKIPPED: _raising(Skip),
    CROOKED: _raising(CrookedError),
    PASSING: _raising(PassingError, how_often=0.5),
}


class WithRulesOutside(WithRules):
    """The same without transactions."""

    atomic = False


class HoldOn(Counting):
    """Hold on to the worker at the first item, until it is taken over."""

    atomic = False  # One transaction that never ends would hold up all on SQLite.

    def process(self, item: Item) -> None:
        if self.run is not None and self.run.attempts == 1:
            sleep(3600)
        count_up(item.pk)
