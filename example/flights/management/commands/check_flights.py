"""Count the flights once more, from the CSV file alone, and compare."""

import csv
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Sum
from rich.console import Console
from rich.table import Table

from flights.models import Flight

FLIGHTS = "flights"
MILES = "miles flown"
CLASSES = ("early", "on time", "late", "very late", "diverted", "cancelled")
UNCLASSIFIED = "not classified"


class Command(BaseCommand):
    """Compare the database with a count that shares no code with the import."""

    help = "Compare the flights in the database with those in their CSV file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--csv", type=Path, required=True, help="flights.csv")

    def handle(self, *args: Any, **options: Any) -> None:
        expected = count_file(options["csv"])
        found = count_database()
        Console().print(comparison(expected, found))
        if found != expected:
            raise CommandError("The database differs from the CSV file.")


def count_file(path: Path) -> Counter[str]:
    """Count the rows of flights.csv, their miles, and the rows of each class."""
    counts = Counter(dict.fromkeys((FLIGHTS, MILES, *CLASSES), 0))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counts[FLIGHTS] += 1
            counts[MILES] += int(row["distance"])
            counts[class_of(row)] += 1
    return counts


def class_of(row: dict[str, str]) -> str:
    """Return how a flight turned out, by the rules as a person would say them."""
    if row["dep_time"] == "NA":
        return "cancelled"
    if row["arr_delay"] == "NA":
        return "diverted"
    minutes = int(row["arr_delay"])
    bounds = [(0, "early"), (15, "on time"), (60, "late")]
    return next((name for bound, name in bounds if minutes < bound), "very late")


def count_database() -> Counter[str]:
    """Count the same in the database."""
    totals = Flight.objects.aggregate(rows=Count("pk"), miles=Sum("distance"))
    classes = Flight.objects.values_list("delay_class").annotate(Count("pk"))
    counts = Counter({name or UNCLASSIFIED: rows for name, rows in classes})
    return counts + Counter({FLIGHTS: totals["rows"], MILES: totals["miles"] or 0})


def comparison(expected: Counter[str], found: Counter[str]) -> Table:
    """Return the two counts side by side."""
    table = Table("", "in the CSV file", "in the database", "")
    for column in table.columns[1:3]:
        column.justify = "right"
    for name in expected | found:
        same = expected[name] == found[name]
        verdict = "[green]same[/green]" if same else "[red]DIFFERENT[/red]"
        table.add_row(name, f"{expected[name]:,}", f"{found[name]:,}", verdict)
    return table
