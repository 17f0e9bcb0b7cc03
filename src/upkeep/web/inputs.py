"""How a parameter is asked for: what is shown and typed means the same for everyone."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField
from django.utils.html import format_html
from django.utils.translation import gettext as _

from upkeep.tasks.parameters import limited
from upkeep.tasks.reading import in_project_terms, in_project_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from django.db.models import QuerySet

    from upkeep.web.kept import Kept

#: A select of more than this is no help to anybody, and a million would never arrive.
MOST_CHOICES = 500

#: The widgets that would list all records.
LISTS = {
    forms.Select,
    forms.RadioSelect,
    forms.SelectMultiple,
    forms.CheckboxSelectMultiple,
}

#: The type of input in which a browser asks for such a value, and how it is written.
NATIVE: dict[type[forms.Widget], tuple[str, str]] = {
    forms.DateInput: ("date", "%Y-%m-%d"),
    forms.DateTimeInput: ("datetime-local", "%Y-%m-%dT%H:%M:%S"),
    forms.TimeInput: ("time", "%H:%M:%S"),
}

Temporal = forms.DateField | forms.DateTimeField | forms.TimeField


class ParameterField(BoundField):
    """
    A field that shows and takes what means the same to its task.

    Moments are in the project's time zone, and whatever depends on a language is in
    the project's; labels, choices and errors are in the person's.
    """

    @property
    def kept(self) -> Kept | None:
        """The file that an earlier attempt brought."""
        kept: Mapping[str, Kept] = getattr(self.form, "kept", {})
        return kept.get(self.name)

    @property
    def data(self) -> Any:
        """What was filled in, as the task reads it."""
        with in_project_terms():
            return super().data

    def value(self) -> Any:
        """Return what to show: dates and times typed, where they can be read."""
        with in_project_terms():
            return _typed(self.field, self.field.widget, self._readable())

    def _readable(self) -> Any:
        """Return the value, or as it came what JSON can be neither read nor written."""
        try:
            value = super().value()
            if isinstance(value, str):
                value.encode()
        except (ValueError, RecursionError):
            return self.data
        return value

    def as_widget(self, *args: Any, **kwargs: Any) -> Any:
        """Render the field as its widget shows it."""
        with self._terms():
            return super().as_widget(*args, **kwargs)

    def _terms(self) -> AbstractContextManager[None]:
        # Only numbers that are localized are written by a language here.
        return in_project_terms() if self.field.localize else in_project_time()


def as_asked(field: forms.Field) -> forms.Field:
    """Return a copy of a task's field, as it is asked for on a page."""
    field = limited(field, copy=True)
    _write_as_iso(field, field.widget)
    if _has_too_many(field):
        _ask_for_keys(field)
    elif _has_no_prompt(field):
        _prompt(field)
    if _reads_moments(field):
        explain(field, _("Time zone: %(zone)s") % {"zone": settings.TIME_ZONE})
    return field


def explain(field: forms.Field | BoundField, sentence: str) -> None:
    """Add a sentence to what is said of a field."""
    parts = [part for part in (field.help_text, sentence) if part]
    field.help_text = format_html(" ".join(["{}"] * len(parts)), *parts)


# Dates and times


def _typed(field: forms.Field, widget: Any, value: Any) -> Any:
    """Return a text that was filled in as its widget wants it; else the text itself."""
    if isinstance(value, list) and isinstance(field, forms.MultiValueField):
        parts = zip(field.fields, _parts(widget), value, strict=False)
        return [_typed(*part) for part in parts]
    if not isinstance(value, str) or not isinstance(field, Temporal):
        return value
    with suppress(ValidationError, OverflowError):
        return field.prepare_value(field.to_python(value))
    is_native = type(widget) in NATIVE
    if is_native:
        widget.input_type = "text"  # An input for dates would not show what is none.
    return value


def _write_as_iso(field: forms.Field, widget: forms.Widget) -> None:
    """Let a widget write what the field reads, whatever language is spoken."""
    if isinstance(field, forms.MultiValueField):
        for part, its_widget in zip(field.fields, _parts(widget), strict=False):
            _write_as_iso(part, its_widget)
    elif isinstance(field, Temporal) and isinstance(widget, tuple(NATIVE)):
        _choose_format(field, widget)


def _choose_format(field: Any, widget: Any) -> None:
    formats = _formats_of(field)
    is_native = type(widget) in NATIVE  # Others may have a calendar of their own.
    kind = next(kind for kind in NATIVE if isinstance(widget, kind))
    input_type, iso = NATIVE[kind]
    wanted = widget.format or iso
    readable = [each for each in (wanted, iso) if each in formats]
    widget.format = (readable or formats)[0]
    if widget.format == iso and is_native:
        widget.input_type = input_type


def _formats_of(field: Any) -> list[str]:
    with in_project_terms():
        formats = list(field.input_formats)
    # Any DateTimeField reads this one, whatever formats it is given.
    always = [NATIVE[forms.DateTimeInput][1]]
    return always + formats if isinstance(field, forms.DateTimeField) else formats


def _parts(widget: forms.Widget) -> list[forms.Widget]:
    return list(getattr(widget, "widgets", ()))


def _reads_moments(field: forms.Field) -> bool:
    parts = getattr(field, "fields", ())
    reads = isinstance(field, forms.DateTimeField | forms.SplitDateTimeField)
    return reads or any(map(_reads_moments, parts))


# Choices


def _prompt(field: Any) -> None:
    field.widget.choices = [("", _("Select a value")), *field.choices]


def _has_no_prompt(field: Any) -> bool:
    """Tell whether a browser would choose the first of a list by itself."""
    lists_records = isinstance(field, forms.ModelChoiceField)  # It has one already.
    if type(field.widget) is not forms.Select or lists_records:
        return False
    takes_nothing = any(value in ("", None) for value, _label in field.choices)
    return field.initial is None and not takes_nothing


# Records


class KeysInput(forms.TextInput):
    """Several keys in one line, separated by commas; one with a comma in quotes."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """Return the keys; a program may also give each by itself."""
        texts: list[str] = data.getlist(name)
        return list(_split(texts[0])) if len(texts) == 1 else texts

    def format_value(self, value: Any) -> str | None:
        """Return the keys as a person types them."""
        if not isinstance(value, list | tuple):
            return None if value is None else str(value)
        return ", ".join(map(_quoted, value)) or None


def _split(text: str) -> Iterator[str]:
    try:
        for row in csv.reader(text.splitlines(), skipinitialspace=True):
            yield from filter(None, map(str.strip, row))
    except csv.Error:  # It is longer than a key can be, and so is none.
        yield text


def _quoted(key: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([key])
    return line.getvalue()


def _has_too_many(field: Any) -> bool:
    """Tell whether there are too many records to list, without counting them all."""
    lists_records = isinstance(field, forms.ModelChoiceField)
    if not lists_records or hasattr(field, "_choices"):
        return False
    if type(field.widget) not in LISTS:
        return False
    records: QuerySet[Any] = field.queryset
    if not records.query.is_sliced:
        records = records.order_by()
    return bool(records[: MOST_CHOICES + 1].count() > MOST_CHOICES)


def _ask_for_keys(field: Any) -> None:
    several = isinstance(field, forms.ModelMultipleChoiceField)
    attributes = {**field.widget.attrs, "autocomplete": "off"}
    field.widget = (KeysInput if several else forms.TextInput)(attributes)
    field.widget.is_required = field.required
    words = {"most": MOST_CHOICES, "key": _key_name(field)}
    if several:
        how = _("There are more than %(most)s. Type the %(key)s of each, with commas.")
    else:
        how = _("There are more than %(most)s. Type the %(key)s of one.")
    explain(field, how % words)


def _key_name(field: Any) -> str:
    meta = field.queryset.model._meta
    key = meta.get_field(field.to_field_name) if field.to_field_name else meta.pk
    return str(key.verbose_name)
