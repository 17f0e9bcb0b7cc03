"""
Loops as one writes them by hand, with the pages, transactions and gaps of the engine.

They save their place with each transaction, as somebody would who wants to go on after
a crash, and know nothing else: no lease, no counts to show, nobody who may stop them.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet

from benchmarks.models import Place, Record
from upkeep.databases import gap_after

Item = TypeVar("Item")
Row = dict[str, str]

PAGE = 1000


def walk(items: Iterable[Item], work: Callable[[Item], None]) -> None:
    """
    Work on all items, in transactions of half a second.

    SQLite has one writer at a time, and others want to write too: there it is a tenth
    of a second, and behind it the gap that the engine leaves.
    """
    is_sqlite = connection.vendor == "sqlite"
    seconds = 0.1 if is_sqlite else 0.5
    place, _ = Place.objects.get_or_create(pk=1)
    remaining = iter(items)
    place.done, finished = 0, False
    while not finished:
        begun = time.monotonic()
        with transaction.atomic():
            deadline = time.monotonic() + seconds
            for item in remaining:
                work(item)
                place.done += 1
                if time.monotonic() >= deadline:
                    break
            else:
                finished = True
            Place.objects.filter(pk=place.pk).update(done=place.done)
        if not finished and is_sqlite:
            spent = timedelta(seconds=time.monotonic() - begun)
            time.sleep(gap_after(spent).total_seconds())


def records() -> Iterator[Record]:
    """Yield the records in the order of their key, a page with each query."""
    last = 0
    while page := list(Record.objects.filter(pk__gt=last).order_by("pk")[:PAGE]):
        last = page[-1].pk
        yield from page


def keys() -> Iterator[Record]:
    """Yield the records with nothing but their key."""
    last = 0
    ordered = Record.objects.only("id").order_by("pk")
    while page := list(ordered.filter(pk__gt=last)[:PAGE]):
        last = page[-1].pk
        yield from page


def pages(queryset: QuerySet[Any], *, last: int = 0) -> Iterator[list[Any]]:
    """Yield the records of a table behind a key in lists, in the order of their key."""
    ordered = queryset.order_by("pk")
    while page := list(ordered.filter(pk__gt=last)[:PAGE]):
        last = page[-1].pk
        yield page


def ranges(queryset: QuerySet[Any]) -> Iterator[QuerySet[Any]]:
    """Yield a table in QuerySets of so many records, of which none is fetched."""
    last, ordered = 0, queryset.order_by("pk").values_list("pk", flat=True)
    while True:
        rest = ordered.filter(pk__gt=last)
        if not (ends := list(rest[PAGE - 1 : PAGE]) or list(rest.reverse()[:1])):
            return
        yield queryset.filter(pk__gt=last, pk__lte=ends[0])
        last = ends[0]


def one_by_one(items: Iterable[Item], work: Callable[[Item], None]) -> None:
    """Work on all items as most loops do: each in a transaction of its own."""
    for item in items:
        work(item)


def batches(path: Path, size: int) -> Iterator[list[Row]]:
    """Yield the rows of a CSV file in lists."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        while batch := list(islice(rows, size)):
            yield batch
