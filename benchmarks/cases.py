"""What is measured: a task, the same work by hand, and the data of both."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.color import no_style
from django.db import connection, models

from benchmarks import loops, slugs
from benchmarks.maintenance import (
    BATCH,
    COLUMNS,
    CountUpBatches,
    CreateReadings,
    FillSlugs,
    FillSlugsByTitle,
    FillSlugsOfWholeArticles,
    ImportReadings,
    LookAtKeys,
    LookAtRecords,
    SaveGoodRecords,
    SaveRecords,
)
from benchmarks.models import Article, Reading, Record
from upkeep import Task
from upkeep.models import DeadLetter
from upkeep.runs.status import Status


class Case:
    """A task and a loop that do the same work on the same rows."""

    name: ClassVar[str]
    task: ClassVar[type[Task]]
    rows: ClassVar[int]  # So many that the work takes some seconds.
    target: ClassVar[float]  # The least share of the speed of what it is compared with.
    targets: ClassVar[dict[str, float]] = {}  # Where a database has one of its own.
    against: ClassVar[str] = "a loop by hand"
    rows_by_hand: ClassVar[int | None] = None  # Fewer, where a loop is slow.

    def target_on(self, database: str) -> float:
        """Return the least share on a database; 0 where there is none."""
        return self.targets.get(database, self.target)

    def prepare(self) -> None:
        """Make what both sides only read."""

    def reset(self) -> None:
        """Make the data as it was before the work."""

    def by_task(self) -> None:
        """Do the work with the engine."""
        run = self.task.run_now(**self.parameters())
        if run.status != Status.SUCCEEDED:
            raise RuntimeError(f"{run} ended as {run.status}: {run.reason}")

    def parameters(self) -> dict[str, Any]:
        """Return what the task is given."""
        return {}

    def by_hand(self) -> None:
        """Do the work with a loop written by hand."""
        raise NotImplementedError

    def done(self) -> int:
        """Count the rows that show that the work was done."""
        raise NotImplementedError


class NoOp(Case):
    """What the walk itself costs: nothing is done with any record."""

    name = "no-op"
    task: ClassVar[type[Task]] = LookAtRecords
    rows = 300_000
    target = 0.9

    def prepare(self) -> None:
        fill_records(self.rows)

    def by_hand(self) -> None:
        loops.walk(loops.records(), look_at)

    def done(self) -> int:
        return Record.objects.filter(n=0).count()


class Save(Case):
    """The plainest backfill: every record is changed and saved."""

    name = "save"
    task: ClassVar[type[Task]] = SaveRecords
    rows = 10_000
    target = 0.9

    def reset(self) -> None:
        fill_records(self.rows)
        DeadLetter.objects.all().delete()

    def by_hand(self) -> None:
        loops.walk(loops.records(), count_up)

    def done(self) -> int:
        return Record.objects.filter(n=1).count()


class BadRows(Save):
    """The same where 0.137 % of the rows fail and are kept as dead letters."""

    name = "bad rows"
    task = SaveGoodRecords
    rows = 20_000
    target = 0.6
    against = "the same without"

    def parameters(self) -> dict[str, Any]:
        return {"bad_one_in": 730}

    def by_hand(self) -> None:
        run = self.task.run_now(bad_one_in=self.rows + 1)
        if run.failed:
            raise RuntimeError(f"{run.failed} rows failed.")

    def done(self) -> int:
        return super().done() + DeadLetter.objects.count()


class Import(Case):
    """A CSV file, its rows inserted in batches."""

    name = "csv"
    task: ClassVar[type[Task]] = ImportReadings
    rows = 160_000
    target = 0.95

    def prepare(self) -> None:
        write_readings(self.path, self.rows)

    def reset(self) -> None:
        empty(Reading)

    def parameters(self) -> dict[str, Any]:
        return {"csv_file": self.path}

    def by_hand(self) -> None:
        loops.walk(loops.batches(self.path, BATCH), insert)

    def done(self) -> int:
        return Reading.objects.count()

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return settings.FOLDER / "readings.csv"


class Keys(NoOp):
    """The walk itself where next to nothing is loaded."""

    name = "no-op, only(id)"
    task = LookAtKeys

    def by_hand(self) -> None:
        loops.walk(loops.keys(), look_at)


class SaveAtOnce(Save):
    """The plainest backfill beside the plainest loop."""

    name = "save, autocommit"
    target = 0
    targets = {"postgresql": 1.7, "mariadb": 1.7}
    against = "save() one by one"

    def by_hand(self) -> None:
        loops.one_by_one(loops.records(), count_up)


class CountUpInBatches(Save):
    """Batches, each of which is one statement."""

    name = "batches"
    task = CountUpBatches
    rows = 1_000_000
    target = 0.95

    def prepare(self) -> None:
        fill_records(self.rows)
        copy(Record)

    def reset(self) -> None:
        restore(Record)

    def by_hand(self) -> None:
        loops.walk(loops.ranges(Record.objects.all()), count_all_up)


class Updates(Case):
    """A field that process() computes and the engine saves."""

    name = "updates"
    task: ClassVar[type[Task]] = FillSlugs
    rows = 300_000
    target = 0.85
    against = "its statement by hand"

    def prepare(self) -> None:
        fill_articles(self.rows)
        copy(Article)

    def reset(self) -> None:
        restore(Article)

    def by_hand(self) -> None:
        loops.walk(loops.pages(self.articles()), slugs.write)

    def articles(self) -> models.QuerySet[Article]:
        """Return what is walked."""
        return Article.objects.only(*COLUMNS)

    def done(self) -> int:
        return Article.objects.exclude(slug="").count()


class UpdatesAtOnce(Updates):
    """The same, with what process() uses alone, beside the loop that is usual."""

    name = "updates, autocommit"
    task: ClassVar[type[Task]] = FillSlugsByTitle
    rows_by_hand = 3_000
    target = 15
    targets = {"sqlite": 10}
    against = "save() one by one"

    def articles(self) -> models.QuerySet[Article]:
        return Article.objects.only("title", "slug")

    def by_hand(self) -> None:
        for page in islice(loops.pages(self.articles()), self.rows_by_hand // 1000):
            loops.one_by_one(page, slugs.save)


class UpdatesOfWiderRows(UpdatesAtOnce):
    """The same with columns that process() has no use for."""

    name = "updates, four columns"
    task = FillSlugs
    target = 0
    targets = {}

    def articles(self) -> models.QuerySet[Article]:
        return Article.objects.only(*COLUMNS)


class UpdatesOfWholeRows(UpdatesOfWiderRows):
    """The same with columns whose bytes are fetched beside their values."""

    name = "updates, every type"
    task = FillSlugsOfWholeArticles

    def articles(self) -> models.QuerySet[Article]:
        return Article.objects.all()


class Create(Import):
    """The rows of a CSV file, each of which becomes an object to insert."""

    name = "creates"
    task = CreateReadings
    target = 0.9


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        NoOp(),
        Keys(),
        Save(),
        SaveAtOnce(),
        BadRows(),
        CountUpInBatches(),
        Updates(),
        UpdatesAtOnce(),
        UpdatesOfWiderRows(),
        UpdatesOfWholeRows(),
        Import(),
        Create(),
    )
}


# The work, as one writes it in a loop


def look_at(record: models.Model) -> None:
    """Do nothing."""


def count_up(record: Record) -> None:
    """Count a record up and save it."""
    record.n += 1
    record.save(update_fields=["n"])


def count_all_up(records: models.QuerySet[Record]) -> None:
    """Count records up with one statement."""
    records.update(n=models.F("n") + 1)


def insert(rows: list[loops.Row]) -> None:
    """Insert a reading for each row."""
    Reading.objects.bulk_create(
        Reading(station=row["station"], day=row["day"], value=int(row["value"]))
        for row in rows
    )


# The data


def fill_records(rows: int) -> None:
    """Have the keys 1 to `rows`, and nothing else, in the table of records."""
    empty(Record)
    for start in range(1, rows + 1, 10_000):
        keys = range(start, min(start + 10_000, rows + 1))
        Record.objects.bulk_create(Record(pk=key, text=f"{key:0140}") for key in keys)
    analyze(Record)


def analyze(model: type[models.Model]) -> None:
    """Have the database know how large a table is."""
    with connection.cursor() as cursor:
        verb = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
        cursor.execute(f"{verb} {model._meta.db_table}")


def fill_articles(rows: int) -> None:
    """Have the keys 1 to `rows`, and nothing else, in the table of articles."""
    empty(Article)
    for start in range(1, rows + 1, 10_000):
        Article.objects.bulk_create(
            Article(
                pk=key,
                title=f"The article of number {key}",
                body=f"{key:0140}",
                extra={"tags": ["one", "two"], "rank": key / 7},
                written_at=datetime(2024, 1, 1, tzinfo=UTC),
            )
            for key in range(start, min(start + 10_000, rows + 1))
        )
    analyze(Article)


def copy(model: type[models.Model]) -> None:
    """Keep a copy of a table."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {table}_copy")
        cursor.execute(f"CREATE TABLE {table}_copy AS SELECT * FROM {table}")


def restore(model: type[models.Model]) -> None:
    """Have a table as it was when it was copied."""
    empty(model)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} SELECT * FROM {table}_copy ORDER BY id")
    analyze(model)


def empty(model: type[models.Model]) -> None:
    """Take all rows out of a table, and leave no trace of them to slow it down."""
    sql = connection.ops.sql_flush(no_style(), [model._meta.db_table])
    connection.ops.execute_sql_flush(sql)


def write_readings(path: Path, rows: int) -> None:
    """Write a CSV file of so many rows."""
    first = date(2000, 1, 1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["station", "day", "value"])
        for number in range(rows):
            day = first + timedelta(days=number % 9000)
            writer.writerow([f"station {number % 500}", day.isoformat(), number])
