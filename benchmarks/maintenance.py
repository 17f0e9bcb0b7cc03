"""The tasks that are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet

from benchmarks.models import Reading, Record
from upkeep import Quarantine, Task, parameter
from upkeep.forms import CSVField

BATCH = 1000


class LookAtRecords(Task):
    """Do nothing with every record."""

    def collection(self) -> QuerySet[Record]:
        return Record.objects.all()

    def process(self, record: Record) -> None:
        pass


class SaveRecords(LookAtRecords):
    """Count every record up and save it."""

    def process(self, record: Record) -> None:
        record.n += 1
        record.save(update_fields=["n"])


class SaveGoodRecords(SaveRecords):
    """Count every record up, but for one in so many, which fails behind its effect."""

    bad_one_in: int = parameter(forms.IntegerField())
    on_error = [Quarantine(ValueError)]

    def process(self, record: Record) -> None:
        super().process(record)
        if record.pk % self.bad_one_in == 0:
            raise ValueError(f"Record {record.pk} is bad.")


class ImportReadings(Task):
    """Make a reading of every row of a file."""

    csv_file = parameter(CSVField())

    def collection(self) -> Any:
        return self.csv_file.in_batches(BATCH)

    def process(self, rows: Sequence[dict[str, str]]) -> None:
        Reading.objects.bulk_create(
            Reading(station=row["station"], day=row["day"], value=int(row["value"]))
            for row in rows
        )
