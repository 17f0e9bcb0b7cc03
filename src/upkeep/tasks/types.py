"""The types to which Django's fields clean, so that a field that changed is noticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import EnumType
from types import NoneType
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet

from upkeep.tasks.uploads import StoredFile

Judge = Callable[[Any, Any], bool]


def fits(field: forms.Field, value: Any) -> bool:
    """
    Tell whether a stored value, as it is read, has a type to which the field cleans.

    Whether the field would still take it is another question, which is not asked: a
    day that was in the future when the run began has come. A field with code of its
    own may clean to anything, so there the answer is yes.
    """
    if not _is_known(field):
        return True
    judges = [JUDGES[kind] for kind in type(field).__mro__ if kind in JUDGES]
    return judges[0](field, value) if judges else True


def _is_known(field: forms.Field) -> bool:
    if hasattr(field, "wrap"):  # It says itself what it makes of a stored file.
        return True
    methods = ("clean", "to_python", "compress", "_coerce")
    own = [getattr(type(field), name, forms.Field.clean) for name in methods]
    return all(method.__module__.startswith("django.forms.") for method in own)


def _one_of(*types: type) -> Judge:
    # Not by isinstance: a bool is an int, and a datetime a date.
    return lambda _field, value: type(value) in types


def _is_text(field: Any, value: Any) -> bool:
    return type(value) is str or bool(value == field.empty_value)


def _is_list(_field: Any, value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is str for each in value)


def _is_coerced(field: Any, value: Any) -> bool:
    return bool(value == field.empty_value) or _is_made_by(field.coerce, value)


def _are_coerced(field: Any, value: Any) -> bool:
    if not isinstance(value, list):
        return bool(value == field.empty_value)
    return all(_is_made_by(field.coerce, each) for each in value)


def _is_made_by(coerce: Any, value: Any) -> bool:
    if isinstance(coerce, EnumType):
        return value in [member.value for member in coerce]  # type: ignore[var-annotated]
    # What a function makes, nobody knows.
    return type(value) is coerce if isinstance(coerce, type) else True


def _is_file(_field: Any, value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, StoredFile) for each in value)
    return value in (None, False) or isinstance(value, StoredFile)


def _is_record(field: Any, value: Any) -> bool:
    return value is None or isinstance(value, _model_of(field))


def _are_records(field: Any, value: Any) -> bool:
    return isinstance(value, QuerySet) and issubclass(value.model, _model_of(field))


def _model_of(field: Any) -> type:
    model: type = field.queryset.model._meta.concrete_model
    return model


#: The first of a field's classes that is here decides.
JUDGES: dict[type[forms.Field], Judge] = {
    forms.CharField: _is_text,
    forms.IntegerField: _one_of(int, NoneType),
    forms.FloatField: _one_of(float, NoneType),
    forms.DecimalField: _one_of(Decimal, NoneType),
    forms.DateField: _one_of(date, NoneType),
    forms.TimeField: _one_of(time, NoneType),
    forms.DateTimeField: _one_of(datetime, NoneType),
    forms.SplitDateTimeField: _one_of(datetime, NoneType),
    forms.DurationField: _one_of(timedelta, NoneType),
    forms.UUIDField: _one_of(UUID, NoneType),
    forms.JSONField: lambda _field, _value: True,
    forms.BooleanField: _one_of(bool),
    forms.NullBooleanField: _one_of(bool, NoneType),
    forms.ChoiceField: _one_of(str),
    forms.MultipleChoiceField: _is_list,
    forms.TypedChoiceField: _is_coerced,
    forms.TypedMultipleChoiceField: _are_coerced,
    forms.FileField: _is_file,
    forms.ModelChoiceField: _is_record,
    forms.ModelMultipleChoiceField: _are_records,
}
