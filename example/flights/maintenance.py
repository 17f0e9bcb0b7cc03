"""The long work of this app: five imports and a backfill. Upkeep finds them here."""

import sqlite3
from datetime import timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import OperationalError
from django.db.models import Manager, QuerySet

from flights import register, rows
from flights.models import Airport, DelayClass, Flight, Plane
from flights.rows import Row
from upkeep import Quarantine, Retry, Task, parameter, polynomial, throttle
from upkeep.forms import CSVField


class ImportAirlines(Task):
    """Import the airlines, or bring their names up to date."""

    csv_file = parameter(CSVField(columns=rows.AIRLINE_COLUMNS))

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: Row) -> None:
        rows.airline(row).save()


class ImportAirports(Task):
    """Import the airports, or bring them up to date."""

    csv_file = parameter(CSVField(columns=rows.AIRPORT_COLUMNS))

    def collection(self) -> Any:
        return self.csv_file.in_batches(500)

    def process(self, batch: list[Row]) -> None:
        Airport.objects.bulk_create(
            map(rows.airport, batch),
            update_conflicts=True,
            unique_fields=["code"],
            update_fields=["name", "latitude", "longitude"],
        )


class ImportPlanes(Task):
    """Import the planes, or bring them up to date."""

    csv_file = parameter(CSVField(columns=rows.PLANE_COLUMNS))

    def collection(self) -> Any:
        return self.csv_file.in_batches(500)

    def process(self, batch: list[Row]) -> None:
        Plane.objects.bulk_create(
            map(rows.plane, batch),
            update_conflicts=True,
            unique_fields=["tail_number"],
            update_fields=["year", "manufacturer", "model", "seats"],
        )


class ImportFlights(Task):
    """
    Import the flights, each exactly once.

    Nothing here asks what has been imported before, although the worker may be killed
    at any time: a batch and the place reached in the file are committed together.
    """

    csv_file = parameter(CSVField(columns=rows.FLIGHT_COLUMNS))

    def collection(self) -> Any:
        return self.csv_file.in_batches(1000)

    def process(self, batch: list[Row]) -> None:
        flights = [rows.flight(row) for row in batch]
        tail_numbers = {flight.plane_id for flight in flights if flight.plane_id}
        add_missing(Plane.objects, tail_numbers)
        add_missing(Airport.objects, {flight.destination_id for flight in flights})
        Flight.objects.bulk_create(flights)


class ImportCheckedFlights(Task):
    """
    Import the flights one by one, and ask the register for those that never arrived.

    A row of which their airline says nothing there is kept as a dead letter. For a
    flight that was six hours late or more a claim is filed in a storage.
    """

    csv_file = parameter(CSVField(columns=rows.CHECKED_COLUMNS))
    on_error = [
        # Those of our own database come here after Upkeep's own five minutes only;
        # those of the register, of which it knows nothing, come at once.
        Retry(OperationalError, sqlite3.OperationalError, wait=polynomial),
        Retry(OSError, attempts=10, wait=timedelta(seconds=10), jitter=0),
        Quarantine(ValueError, at_most=0.01),
    ]

    def collection(self) -> Any:
        return self.csv_file

    def process(self, row: Row) -> None:
        flight = rows.flight(row)
        lost = rows.is_lost(row)
        flight.delay_class = register.outcome_of(row) if lost else DelayClass.of(flight)
        if (flight.arrival_delay or 0) >= SIX_HOURS:
            file_claim(row)
        add_missing(Plane.objects, {flight.plane_id} if flight.plane_id else set())
        add_missing(Airport.objects, {flight.destination_id})
        flight.save(force_insert=True)

    @throttle(every=timedelta(seconds=1))
    def register_is_closed(self) -> timedelta | None:
        return register.closed_for()


class ClassifyDelays(Task):
    """Fill the column `delay_class`, which was added when the table was full."""

    def collection(self) -> QuerySet[Flight]:
        return Flight.objects.filter(delay_class="").only(
            "departure_delay", "arrival_delay"
        )

    def process(self, flight: Flight) -> None:
        flight.delay_class = DelayClass.of(flight)
        flight.save(update_fields=["delay_class"])


SIX_HOURS = 360  # minutes


def file_claim(row: Row) -> None:
    """File what is owed for a flight; twice is as good as once, for it has a name."""
    name = "-".join(row[each] for each in register.KEY).replace(":", "")
    storages["claims"].save(
        f"{name}.txt", ContentFile(f"{row['arr_delay']} min late\n")
    )


def add_missing(objects: Manager[Any], keys: set[str]) -> None:
    """Add a bare row for each key that the model's own CSV file did not know."""
    known = objects.filter(pk__in=keys).values_list("pk", flat=True)
    objects.bulk_create([objects.model(pk=key) for key in keys.difference(known)])
