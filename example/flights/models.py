"""The flights that left New York City in 2013, and what they refer to."""

from django.db import models


class Airline(models.Model):
    """A company that flies."""

    code = models.CharField(primary_key=True, max_length=2)
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Airport(models.Model):
    """A place where flights begin or end; only its code is always known."""

    code = models.CharField(primary_key=True, max_length=3)
    name = models.CharField(max_length=80, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name or self.code


class Plane(models.Model):
    """A single aircraft; only its tail number is always known."""

    tail_number = models.CharField(primary_key=True, max_length=6)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    manufacturer = models.CharField(max_length=50, blank=True)
    model = models.CharField(max_length=50, blank=True)
    seats = models.PositiveSmallIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.tail_number


class DelayClass(models.TextChoices):
    """How a flight turned out for those who waited for it."""

    EARLY = "early"  # Arrived before its time.
    ON_TIME = "on time"  # Arrived less than 15 minutes late.
    LATE = "late"  # Arrived less than an hour late.
    VERY_LATE = "very late"  # Arrived an hour late or more.
    DIVERTED = "diverted"  # Left, and did not arrive where it should.
    CANCELLED = "cancelled"  # Never left.

    @classmethod
    def of(cls, flight: "Flight") -> "DelayClass":
        """Return the class of a flight, from its delays."""
        if flight.departure_delay is None:
            return cls.CANCELLED
        if flight.arrival_delay is None:
            return cls.DIVERTED
        if flight.arrival_delay < 0:
            return cls.EARLY
        if flight.arrival_delay < 15:
            return cls.ON_TIME
        if flight.arrival_delay < 60:
            return cls.LATE
        return cls.VERY_LATE


class Flight(models.Model):
    """One departure from New York City."""

    scheduled_departure = models.DateTimeField()
    airline = models.ForeignKey(Airline, models.PROTECT, related_name="flights")
    number = models.PositiveSmallIntegerField()
    origin = models.ForeignKey(Airport, models.PROTECT, related_name="departures")
    destination = models.ForeignKey(Airport, models.PROTECT, related_name="arrivals")
    plane = models.ForeignKey(
        Plane, models.PROTECT, related_name="flights", null=True, blank=True
    )
    departure_delay = models.SmallIntegerField(
        "departure delay in minutes",
        null=True,
        blank=True,
        help_text="Empty: the flight never left.",
    )
    arrival_delay = models.SmallIntegerField(
        "arrival delay in minutes",
        null=True,
        blank=True,
        help_text="Empty: the flight did not arrive at its destination.",
    )
    distance = models.PositiveSmallIntegerField("distance in miles")
    # Added when the table was full already, hence the task ClassifyDelays.
    delay_class = models.CharField(
        max_length=9, choices=DelayClass, blank=True, default=""
    )

    class Meta:
        constraints = [
            # Were a row of the CSV file imported twice, this would tell.
            models.UniqueConstraint(
                fields=["scheduled_departure", "airline", "number", "origin"],
                name="flights_flight_departs_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.airline_id} {self.number} to {self.destination_id}"
