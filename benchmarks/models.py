"""What the measured tasks and loops read and write."""

from django.db import models


class Record(models.Model):
    """A row of about 150 bytes with a number to count up."""

    n = models.IntegerField(default=0)
    text = models.CharField(max_length=200)

    class Meta:
        app_label = "benchmarks"


class Reading(models.Model):
    """What a row of the CSV file becomes."""

    station = models.CharField(max_length=20)
    day = models.CharField(max_length=10)
    value = models.IntegerField()

    class Meta:
        app_label = "benchmarks"


class Place(models.Model):
    """Where a loop written by hand would go on: after so many items."""

    done = models.BigIntegerField(default=0)

    class Meta:
        app_label = "benchmarks"
