"""The tables, as they were when the flights were imported."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Airline",
            fields=[
                (
                    "code",
                    models.CharField(max_length=2, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=50)),
            ],
        ),
        migrations.CreateModel(
            name="Airport",
            fields=[
                (
                    "code",
                    models.CharField(max_length=3, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(blank=True, max_length=80)),
                ("latitude", models.FloatField(blank=True, null=True)),
                ("longitude", models.FloatField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Plane",
            fields=[
                (
                    "tail_number",
                    models.CharField(max_length=6, primary_key=True, serialize=False),
                ),
                ("year", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("manufacturer", models.CharField(blank=True, max_length=50)),
                ("model", models.CharField(blank=True, max_length=50)),
                ("seats", models.PositiveSmallIntegerField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Flight",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("scheduled_departure", models.DateTimeField()),
                ("number", models.PositiveSmallIntegerField()),
                (
                    "departure_delay",
                    models.SmallIntegerField(
                        blank=True,
                        help_text="Empty: the flight never left.",
                        null=True,
                        verbose_name="departure delay in minutes",
                    ),
                ),
                (
                    "arrival_delay",
                    models.SmallIntegerField(
                        blank=True,
                        help_text="Empty: the flight did not arrive at its "
                        "destination.",
                        null=True,
                        verbose_name="arrival delay in minutes",
                    ),
                ),
                (
                    "distance",
                    models.PositiveSmallIntegerField(verbose_name="distance in miles"),
                ),
                (
                    "airline",
                    models.ForeignKey(
                        on_delete=models.PROTECT,
                        related_name="flights",
                        to="flights.airline",
                    ),
                ),
                (
                    "origin",
                    models.ForeignKey(
                        on_delete=models.PROTECT,
                        related_name="departures",
                        to="flights.airport",
                    ),
                ),
                (
                    "destination",
                    models.ForeignKey(
                        on_delete=models.PROTECT,
                        related_name="arrivals",
                        to="flights.airport",
                    ),
                ),
                (
                    "plane",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=models.PROTECT,
                        related_name="flights",
                        to="flights.plane",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("scheduled_departure", "airline", "number", "origin"),
                        name="flights_flight_departs_once",
                    )
                ],
            },
        ),
    ]
