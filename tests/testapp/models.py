"""What the tests walk."""

import uuid

from django.db import models
from django.db.models.functions import Upper

from tests.testapp.fields import CipherField, LowerField
from upkeep import dead_letters


class Item(models.Model):
    """A row with a number that tasks count up."""

    n = models.IntegerField(default=0)
    name = models.CharField(max_length=50, default="")

    @dead_letters.on(ValueError)
    def rename(self, name: str) -> None:
        """Give it a name, once it has a number."""
        if not self.n:
            raise ValueError("It has no number yet.")
        self.name = name
        self.save()


class Effect(models.Model):
    """One line of the ledger: an effect on an item, written down when it happens."""

    item = models.IntegerField()


class Call(models.Model):
    """A call of a hook, written down by itself, and by which process."""

    name = models.CharField(max_length=20)
    process = models.IntegerField()


class Stamp(models.Model):
    """A row that knows when it was written, and of which item."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE)
    written_at = models.DateTimeField(auto_now=True)
    made_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True)


class Receipt(models.Model):
    """A row for whose sake a run must stay."""

    # The tables of this app are made before those of ours.
    run = models.ForeignKey("upkeep.Run", on_delete=models.PROTECT, db_constraint=False)


class Mark(models.Model):
    """A row for whose sake the database alone keeps a run; made by its test."""

    run = models.ForeignKey("upkeep.Run", on_delete=models.DO_NOTHING)

    class Meta:
        managed = False


class Document(models.Model):
    """A row with a key that is no number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Country(models.Model):
    """A row with a key that is text."""

    code = models.CharField(max_length=10, primary_key=True)


class Seat(models.Model):
    """A row with a key of two columns."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()
    guest = models.CharField(max_length=20, default="")


class Reading(models.Model):
    """A row with a column of each type by which one can walk; all may be empty."""

    number = models.IntegerField(null=True)
    text = models.CharField(max_length=20, null=True)  # noqa: DJ001 - that is the point
    price = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    moment = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    clock = models.TimeField(null=True)
    lasting = models.DurationField(null=True)
    code = models.UUIDField(null=True)
    flag = models.BooleanField(null=True)
    real = models.FloatField(null=True)
    blob = models.BinaryField(null=True, max_length=20)
    address = models.GenericIPAddressField(null=True)
    country = models.ForeignKey(Country, on_delete=models.CASCADE, null=True)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, null=True)


class Specimen(models.Model):
    """A row with a column of each type that can be written; all may be empty."""

    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    small = models.PositiveSmallIntegerField(null=True)
    flag = models.BooleanField(null=True)
    char = models.CharField(max_length=50, null=True)  # noqa: DJ001 - that is the point
    text = models.TextField(null=True)  # noqa: DJ001 - that is the point
    slug = models.SlugField(null=True)  # noqa: DJ001 - that is the point
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    real = models.FloatField(null=True)
    moment = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    clock = models.TimeField(null=True)
    lasting = models.DurationField(null=True)
    code = models.UUIDField(null=True)
    blob = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    document = models.JSONField(null=True)
    file = models.FileField(null=True)
    cipher = CipherField(null=True)
    lower = LowerField(max_length=50, null=True)
    owner = models.ForeignKey(Item, on_delete=models.CASCADE, null=True)
    country = models.ForeignKey(Country, on_delete=models.CASCADE, null=True)
    paper = models.ForeignKey(Document, on_delete=models.CASCADE, null=True)


class Post(models.Model):
    """A row as a blog has it, which knows when it was written last."""

    title = models.CharField(max_length=50, default="")
    slug = models.SlugField(default="")
    place = models.IntegerField(null=True, unique=True)
    volume = models.IntegerField(default=0)
    number = models.IntegerField(null=True)
    extra = models.JSONField(default=dict)
    loud = models.GeneratedField(
        expression=Upper("title"),
        output_field=models.CharField(max_length=50),
        db_persist=True,
    )
    written_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["volume", "number"], name="one_number")
        ]


class Parcel(Item):
    """A row that lies in two tables."""

    weight = models.IntegerField(default=0)


class Visit(models.Model):
    """A row of a large table, which is made by the test that needs it."""

    score = models.IntegerField(null=True)
    at = models.IntegerField(null=True)

    class Meta:
        managed = False


class Note(models.Model):
    """A row of some size in a large table, which is made by the test that needs it."""

    text = models.TextField()

    class Meta:
        managed = False
