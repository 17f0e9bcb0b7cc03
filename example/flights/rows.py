"""How the rows of the CSV files read as records; NA stands for what is missing."""

from datetime import datetime, timedelta

from flights.models import Airline, Airport, Flight, Plane

Row = dict[str, str]

MISSING = "NA"

# What is read of each file: one that lacks a column is refused before a run exists.
AIRLINE_COLUMNS = ("carrier", "name")
AIRPORT_COLUMNS = ("faa", "name", "lat", "lon")
PLANE_COLUMNS = ("tailnum", "year", "manufacturer", "model", "seats")
FLIGHT_COLUMNS = (
    "time_hour",
    "minute",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "dep_delay",
    "arr_delay",
    "distance",
)
CHECKED_COLUMNS = (*FLIGHT_COLUMNS, "dep_time", "arr_time")


def airline(row: Row) -> Airline:
    """Return the airline of a row of airlines.csv."""
    return Airline(code=row["carrier"], name=row["name"])


def airport(row: Row) -> Airport:
    """Return the airport of a row of airports.csv."""
    return Airport(
        code=row["faa"],
        name=row["name"],
        latitude=float(row["lat"]),
        longitude=float(row["lon"]),
    )


def plane(row: Row) -> Plane:
    """Return the plane of a row of planes.csv."""
    return Plane(
        tail_number=row["tailnum"],
        year=_number(row["year"]),
        manufacturer=row["manufacturer"],
        model=row["model"],
        seats=_number(row["seats"]),
    )


def flight(row: Row) -> Flight:
    """Return the flight of a row of flights.csv."""
    return Flight(
        scheduled_departure=_departure(row),
        airline_id=row["carrier"],
        number=int(row["flight"]),
        origin_id=row["origin"],
        destination_id=row["dest"],
        plane_id=None if row["tailnum"] == MISSING else row["tailnum"],
        departure_delay=_number(row["dep_delay"]),
        arrival_delay=_number(row["arr_delay"]),
        distance=int(row["distance"]),
    )


def is_lost(row: Row) -> bool:
    """Tell whether a flight left, and the file does not say that it arrived."""
    return row["dep_time"] != MISSING and row["arr_time"] == MISSING


def _departure(row: Row) -> datetime:
    hour = datetime.fromisoformat(row["time_hour"])
    return hour + timedelta(minutes=int(row["minute"]))


def _number(text: str) -> int | None:
    return None if text == MISSING else int(text)
