"""What the tests walk."""

import uuid

from django.db import models


class Item(models.Model):
    """A row with a number that tasks count up."""

    n = models.IntegerField(default=0)
    name = models.CharField(max_length=50, default="")


class Effect(models.Model):
    """One line of the ledger: an effect on an item, written down when it happens."""

    item = models.IntegerField()


class Document(models.Model):
    """A row with a key that is no number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Country(models.Model):
    """A row with a key that is text."""

    code = models.CharField(max_length=10, primary_key=True)
