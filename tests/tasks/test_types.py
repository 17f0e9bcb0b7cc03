"""Which stored values a field could have made."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from django import forms
from django.contrib.auth.models import Group, User

from upkeep.forms import CSVField
from upkeep.tasks.types import fits
from upkeep.tasks.uploads import StoredFile

DAY = dt.date(2025, 2, 1)
MOMENT = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
FILE = StoredFile(name="a.csv", storage_name="a", size=1, sha256="a")


class Colour(Enum):
    RED = "r"


class InTheFuture(forms.DateField):
    def validate(self, value: Any) -> None:
        raise forms.ValidationError("This day has come.")


class Percent(forms.CharField):
    def clean(self, value: Any) -> Any:
        return Decimal(super().clean(value))


FITTING: list[tuple[forms.Field, Any]] = [
    (forms.CharField(), ""),
    (forms.CharField(empty_value=None), None),
    (forms.EmailField(), "no longer one"),
    (forms.IntegerField(max_value=5), 12),
    (forms.IntegerField(), None),
    (InTheFuture(), DAY),
    (forms.ChoiceField(choices=[]), "gone"),
    (forms.TypedChoiceField(choices=[], coerce=int), 5),
    (forms.TypedChoiceField(choices=[], coerce=int), ""),
    (forms.TypedChoiceField(choices=[], coerce=Colour), "r"),
    (forms.TypedChoiceField(choices=[], coerce=lambda text: text), 5),
    (forms.TypedMultipleChoiceField(choices=[], coerce=int), [5]),
    (forms.JSONField(), {"a": 1}),
    (forms.Field(), object()),
    (forms.FileField(), None),
    (CSVField(), FILE),
    (Percent(), Decimal(5)),
    (Percent(), "5"),
    (forms.ComboField(fields=[]), "a"),
    (forms.ModelChoiceField(Group.objects.none()), Group(name="a")),
    (forms.ModelMultipleChoiceField(Group.objects), Group.objects.none()),
]

OTHERS: list[tuple[forms.Field, Any]] = [
    (forms.CharField(), 5),
    (forms.CharField(), None),
    (forms.UUIDField(), str(UUID(int=1))),
    (forms.IntegerField(), "many"),
    (forms.IntegerField(), True),
    (forms.FloatField(), 5),
    (forms.DecimalField(), 1.5),
    (forms.DateField(), MOMENT),
    (forms.DateTimeField(), DAY),
    (forms.SplitDateTimeField(), "2025-02-01"),
    (forms.BooleanField(), None),
    (forms.ChoiceField(), 5),
    (forms.MultipleChoiceField(), "a"),
    (forms.MultipleChoiceField(), [5]),
    (forms.TypedChoiceField(choices=[], coerce=int), "5"),
    (forms.TypedChoiceField(choices=[], coerce=Colour), "b"),
    (forms.TypedMultipleChoiceField(choices=[], coerce=int), 5),
    (forms.FileField(), "a.csv"),
    (CSVField(), "a.csv"),
    (forms.CharField(), FILE),
    (forms.ModelChoiceField(Group.objects), 5),
    (forms.ModelChoiceField(Group.objects), User(username="a")),
    (forms.ModelMultipleChoiceField(Group.objects), [5]),
    (forms.ModelMultipleChoiceField(Group.objects), User.objects.none()),
]


@pytest.mark.parametrize(("field", "value"), FITTING)
def test_a_value_of_its_type_fits_though_it_would_not_be_taken_today(
    field: forms.Field, value: Any
) -> None:
    assert fits(field, value)


@pytest.mark.parametrize(("field", "value"), OTHERS)
def test_a_value_of_another_type_does_not(field: forms.Field, value: Any) -> None:
    assert not fits(field, value)
