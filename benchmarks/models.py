"""What the measured tasks and loops read and write."""

from decimal import Decimal

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


class Article(models.Model):
    """A row of about 300 bytes that waits for its slug."""

    title = models.CharField(max_length=100)
    slug = models.CharField(max_length=100, default="")
    body = models.TextField()
    views = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("1.50"))
    extra = models.JSONField(default=dict)
    written_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "benchmarks"


class Essay(models.Model):
    """A row of up to 1 kB, of which there are millions."""

    text = models.TextField()

    class Meta:
        app_label = "benchmarks"
