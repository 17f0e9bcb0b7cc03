"""
Measure declared updates: pages of 1,000 changed rows, on each database.

Beside the writer of the engine stand a statement of the same form, written by hand for
this very table, and the loop with save() in autocommit. All fetch the page, change its
records and write them. `python -m benchmarks.updates` measures, `--database` on one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from statistics import median
from typing import Any

import django
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test.utils import setup_databases
from rich.console import Console
from rich.table import Table

from tests import servers
from upkeep.execution.updates import Updates

PAGE = 1000
PAGES = 10  # of the quick ones; save() has one
COLUMNS = ("title", "slug", "body", "views")

Rates = dict[str, float]  # Rows a second, by who wrote them.


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.updates")
    parser.add_argument("--database", action="append", choices=list(servers.DATABASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        measure(options.rounds)
        return
    with servers.unwinding_on_sigterm():
        for database in options.database or servers.DATABASES:
            Console().print(table(database, measured(database, options.rounds)))


def measured(database: str, rounds: int) -> list[Rates]:
    """Return the rounds on a database, measured by a process that does nothing else."""
    command = [sys.executable, "-m", "benchmarks.updates", "--here"]
    command += ["--rounds", str(rounds)]
    with servers.DATABASES[database]() as settings:
        here = os.environ | {
            "UPKEEP_TEST_DATABASE": json.dumps(settings),
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        }
        done = subprocess.run(command, env=here, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(database: str, rounds: Sequence[Rates]) -> Table:
    """Set the medians out, and how many times as fast the engine is."""
    lines = Table("who", "rows/s", "engine is", title=f"Declared updates on {database}")
    for name in rounds[0]:
        rate = median(each[name] for each in rounds)
        engine = name.replace("by hand", "engine").replace("save()", "engine")
        times = median(each[engine] / each[name] for each in rounds)
        lines.add_row(name, f"{rate:,.0f}", f"{times:.2f} times as fast")
    return lines


# In the process that measures


def measure(rounds: int) -> None:
    """Print a line of JSON for each round."""
    django.setup()
    setup_databases(verbosity=0, interactive=False, keepdb=True)
    fill()
    ways: dict[str, tuple[Callable[[QuerySet[Any]], None], QuerySet[Any], int]] = {
        "engine": (by_engine, few_columns(), PAGES),
        "engine, every type": (by_engine, articles(), PAGES),
        "by hand": (by_hand, few_columns(), PAGES),
        "save()": (by_save, few_columns(), 1),
        "save(), every type": (by_save, articles(), 1),
    }
    for number in range(-1, rounds):  # The first one is in vain.
        order = list(ways) if number % 2 else list(reversed(ways))
        rates = {name: rate(*ways[name]) for name in order}
        if number >= 0:
            print(json.dumps({name: rates[name] for name in ways}), flush=True)


def articles() -> QuerySet[Any]:
    """Return all articles."""
    from benchmarks.models import Article  # noqa: PLC0415 - it needs Django's settings

    return Article.objects.order_by("pk")


def few_columns() -> QuerySet[Any]:
    """Return all articles, with the columns whose values tell their bytes."""
    return articles().only(*COLUMNS)


def fill() -> None:
    """Have as many articles as are measured."""
    model = articles().model
    model.objects.all().delete()
    model.objects.bulk_create(
        model(
            pk=pk,
            title=f"The article of number {pk}",
            body=f"{pk:0140}",
            extra={"tags": ["one", "two"], "rank": pk / 7},
            written_at=datetime(2024, 1, 1, tzinfo=UTC),
        )
        for pk in range(1, PAGE * PAGES + 1)
    )
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {TABLE}" if connection.vendor != "mysql" else "DO 0")


def rate(
    way: Callable[[QuerySet[Any]], None], queryset: QuerySet[Any], pages: int
) -> float:
    """Return how many rows a second are written in a way."""
    queryset.update(slug="")
    gc.collect()
    begun = time.perf_counter()
    for number in range(pages):
        first = number * PAGE
        way(queryset.filter(pk__gt=first, pk__lte=first + PAGE))
    seconds = time.perf_counter() - begun
    if (done := articles().exclude(slug="").count()) != pages * PAGE:
        raise RuntimeError(f"{way.__name__}: {done} rows are written.")
    return pages * PAGE / seconds


def process(article: Any) -> None:
    """Give an article its slug."""
    article.slug = article.title.lower().replace(" ", "-")


def by_engine(page: QuerySet[Any]) -> None:
    """Write a page as the engine does."""
    slugs = writer()
    with transaction.atomic():
        records = list(slugs.reading(page))
        snapshot = slugs.remember(records)
        for record in records:
            process(record)
        outcome = slugs.write(records, snapshot)
    if outcome.changed != PAGE:
        raise RuntimeError(f"{outcome}")


@cache
def writer() -> Updates:
    """Return what a run has for all its pages."""
    return Updates(articles().model, ["slug"], "default")


def by_save(page: QuerySet[Any]) -> None:
    """Write a page record by record, each in a transaction of its own."""
    for article in page:
        process(article)
        article.save(update_fields=["slug"])


def by_hand(page: QuerySet[Any]) -> None:
    """Write a page with a statement for this table alone."""
    with transaction.atomic():
        rows = []
        for article in page:
            old = (article.title, article.slug, article.body, article.views)
            process(article)
            if article.slug != old[1]:
                rows.append((article.pk, article.slug, *old))
        if STATEMENTS[connection.vendor](rows) != PAGE:
            raise RuntimeError("Somebody else changed a row.")


# The statements by hand

TABLE = "benchmarks_article"
Row = tuple[Any, ...]


def on_postgresql(rows: Sequence[Row]) -> int:
    """Write rows with `unnest`."""
    guards = " AND ".join(f"t.{each} IS NOT DISTINCT FROM v.{each}" for each in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {TABLE} t SET slug = v.new FROM unnest(%s::bigint[], %s::text[],"
            " %s::text[], %s::text[], %s::text[], %s::integer[])"
            f" v(id, new, {', '.join(COLUMNS)}) WHERE t.id = v.id AND {guards}",
            [list(column) for column in zip(*rows, strict=True)],
        )
        matched: int = cursor.rowcount
        return matched


def on_mysql(rows: Sequence[Row]) -> int:
    """Write rows with a derived table."""
    guards = " AND ".join(f"BINARY t.{each} <=> BINARY v.{each}" for each in COLUMNS)
    listed = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE (SELECT id, slug AS new, {', '.join(COLUMNS)} FROM {TABLE}"
            f" WHERE 0 UNION ALL VALUES {listed}) v STRAIGHT_JOIN {TABLE} t"
            f" ON t.id = v.id SET t.slug = v.new WHERE {guards}",
            [value for row in rows for value in row],
        )
        matched: int = cursor.rowcount
        return matched


def on_sqlite(rows: Sequence[Row]) -> int:
    """Write rows one after the other, all in one call."""
    guards = " AND ".join(f"{each} IS %s" for each in COLUMNS)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {TABLE} SET slug = %s WHERE id = %s AND {guards}",
            [(new, pk, *old) for pk, new, *old in rows],
        )
        matched: int = cursor.rowcount
        return matched


STATEMENTS: dict[str, Callable[[Sequence[Row]], int]] = {
    "postgresql": on_postgresql,
    "mysql": on_mysql,
    "sqlite": on_sqlite,
}


if __name__ == "__main__":
    main()
