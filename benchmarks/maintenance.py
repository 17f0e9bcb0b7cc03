"""The tasks that are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import F, QuerySet

from benchmarks.models import Article, Essay, Reading, Record
from upkeep import Batches, Quarantine, Task, parameter
from upkeep.forms import CSVField

BATCH = 1000

# Columns whose values tell their bytes, as those of most tables do.
COLUMNS = ("title", "slug", "body", "views")


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


class LookAtKeys(LookAtRecords):
    """Do nothing with every record, of which the key alone is loaded."""

    def collection(self) -> QuerySet[Record]:
        return Record.objects.only("id")


class CountUpBatches(Task):
    """Count the records up, a batch with each statement."""

    def collection(self) -> Batches:
        return Batches(Record.objects.all(), size=BATCH)

    def process(self, batch: QuerySet[Record]) -> None:
        batch.update(n=F("n") + 1)


class FillSlugs(Task):
    """Give every article its slug, which the engine saves."""

    updates = ("slug",)

    def collection(self) -> QuerySet[Article]:
        return Article.objects.only(*COLUMNS)

    def process(self, article: Article) -> None:
        article.slug = article.title.lower().replace(" ", "-")


class FillSlugsByTitle(FillSlugs):
    """The same with nothing loaded that is not used."""

    def collection(self) -> QuerySet[Article]:
        return Article.objects.only("title", "slug")


class FillSlugsOfWholeArticles(FillSlugs):
    """The same with every column loaded, and so guarded."""

    def collection(self) -> QuerySet[Article]:
        return Article.objects.all()


class CreateReadings(Task):
    """Make a reading of every row of a file, which the engine inserts."""

    csv_file = parameter(CSVField())
    creates = Reading

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: dict[str, str]) -> Reading:
        return Reading(station=row["station"], day=row["day"], value=int(row["value"]))


class LookAtEssays(Task):
    """Do nothing with every essay."""

    def collection(self) -> QuerySet[Essay]:
        return Essay.objects.all()

    def process(self, essay: Essay) -> None:
        pass


class LookAtNumbers(Task):
    """Do nothing with so many numbers."""

    numbers: int = parameter(forms.IntegerField())
    concurrency = None

    def collection(self) -> range:
        return range(self.numbers)

    def process(self, number: int) -> None:
        pass
