"""The long work of this app: four imports and a backfill. Upkeep finds them here."""

from typing import Any

from django.db.models import Manager, QuerySet

from flights import rows
from flights.models import Airport, DelayClass, Flight, Plane
from flights.rows import Row
from upkeep import Task, parameter
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


class ClassifyDelays(Task):
    """Fill the column `delay_class`, which was added when the table was full."""

    def collection(self) -> QuerySet[Flight]:
        return Flight.objects.filter(delay_class="").only(
            "departure_delay", "arrival_delay"
        )

    def process(self, flight: Flight) -> None:
        flight.delay_class = DelayClass.of(flight)
        flight.save(update_fields=["delay_class"])


def add_missing(objects: Manager[Any], keys: set[str]) -> None:
    """Add a bare row for each key that the model's own CSV file did not know."""
    known = objects.filter(pk__in=keys).values_list("pk", flat=True)
    objects.bulk_create([objects.model(pk=key) for key in keys.difference(known)])
