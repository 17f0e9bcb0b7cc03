"""Tasks that the tests run."""

from __future__ import annotations

from django import forms
from django.db.models import F

from tests.testapp.models import Effect, Item
from upkeep import Job, Task, parameter
from upkeep.forms import CSVField


class CountUp(Task):
    """Add one to every item, and write each effect down in the ledger."""

    def collection(self):
        return Item.objects.all()

    def process(self, item):
        Effect.objects.create(item=item.pk)
        Item.objects.filter(pk=item.pk).update(n=F("n") + 1)


class CountUpTo(CountUp):
    """Add one to the items up to a key; an item beyond it raises."""

    up_to: int = parameter(forms.IntegerField())

    def process(self, item):
        super().process(item)
        if item.pk > self.up_to:
            raise ValueError(f"{item.pk} is beyond {self.up_to}")


class CountUpOutside(CountUp):
    """The same as CountUp, without transactions."""

    atomic = False


class Numbers(Task):
    """Walk a sequence."""

    concurrency = None

    def collection(self):
        return range(1, 8)

    def process(self, number):
        Effect.objects.create(item=number)


class ImportItems(Task):
    """Make an item of each row of a file."""

    csv_file = CSVField()

    def collection(self):
        return self.csv_file

    def process(self, row):
        Item.objects.create(name=row["name"], n=int(row["n"]))


class ImportItemsInBatches(ImportItems):
    """Make the items of a file, some rows at a time."""

    def collection(self):
        return self.csv_file.in_batches(3)

    def process(self, rows):
        Item.objects.bulk_create(Item(name=row["name"], n=row["n"]) for row in rows)


class Report(Job):
    """Count the items."""

    def perform(self):
        self.log("Counting …")
        return {"items": Item.objects.count()}
