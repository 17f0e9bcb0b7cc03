"""The form by which a task is started: its parameters as HTML."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.fields import InvalidJSONInput
from django.forms.utils import ErrorDict
from django.utils.datastructures import MultiValueDict

from upkeep.tasks.masks import mask_text, masked_names, secrets_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from django.http import HttpRequest, QueryDict

    from upkeep.tasks.base import Task


ONE_LINE = {forms.TextInput, forms.NumberInput, forms.EmailInput, forms.URLInput}


class ParameterForm(forms.Form):
    """
    Shows the parameters of a task and takes what a person fills in.

    It judges nothing itself: the task does when the run is enqueued, and what it
    finds wrong is shown here.
    """

    masked: frozenset[str] = frozenset()
    """Fields that come back empty, whatever was filled in."""

    unsaid: frozenset[str] = frozenset()
    """Those of them that have a value already, for who leaves them empty."""

    refusals: Mapping[str, Sequence[str]] = {}

    def full_clean(self) -> None:
        """Take over what the task found wrong."""
        self._errors = ErrorDict(renderer=self.renderer)
        self.cleaned_data = {}
        for name, sentences in self.refusals.items():
            if name in self.fields and self.fields[name].widget.is_hidden:
                self._blame(NON_FIELD_ERRORS, [f"{name}: {each}" for each in sentences])
            else:
                key = name if name in self.fields else NON_FIELD_ERRORS
                self._blame(key, sentences)

    def _blame(self, key: str, sentences: Sequence[str]) -> None:
        no_errors = self.error_class(renderer=self.renderer)
        self._errors.setdefault(key, no_errors).extend(sentences)

    def refuse(self, refusals: Mapping[str, Sequence[str]]) -> None:
        """Show what is wrong, beside the fields where it is."""
        secrets = secrets_of(self.given, self.masked)
        self.refusals = {
            name: [mask_text(sentence, secrets) for sentence in sentences]
            for name, sentences in refusals.items()
        }
        self.full_clean()

    @property
    def given(self) -> dict[str, Any]:
        """What was filled in, for the task to clean."""
        return {
            field.name: field.data
            for field in self
            if field.data or field.name not in self.unsaid
        }

    @property
    def named(self) -> dict[str, Any]:
        """
        What a program sent: only what it named, and also what no task takes.

        A box that a browser leaves out is not ticked; what a program leaves out takes
        its initial value, as everywhere else.
        """
        names = {*self.data, *self.files} - {"csrfmiddlewaretoken"}
        owners = {_owner(name, self.fields) for name in names}
        unknown = {name: "" for name in owners if name not in self.fields}
        return {
            name: self[name].data for name in self.fields if name in owners
        } | unknown


def _owner(name: str, fields: Collection[str]) -> str:
    """Return the field that a name is of, be it a part such as day_0; else the name."""
    parts = [field for field in fields if name.startswith(f"{field}_")]
    return name if name in fields else max(parts, key=len, default=name)


def form_of(task: type[Task], request: HttpRequest) -> ParameterForm:
    """Return the form: filled in by POST, or with values that the address names."""
    masked = masked_names(task.fields, task.masked)
    form_class: type[ParameterForm] = type(
        "TaskForm", (ParameterForm,), _fields_of(task, masked)
    )
    form_class.masked = masked
    form_class.unsaid = frozenset(
        name for name in masked if task.fields[name].initial is not None
    )
    if request.method == "POST":
        return form_class(request.POST, request.FILES, label_suffix="")
    return form_class(initial=_named_by(request, task, masked), label_suffix="")


def _fields_of(task: type[Task], masked: Collection[str]) -> dict[str, forms.Field]:
    fields = deepcopy(task.fields)
    for field in fields.values():
        if isinstance(field, forms.JSONField):
            field.bound_data = _as_typed  # type: ignore[method-assign]
    for name in masked:
        _hide(fields[name])
    return dict(fields)


def _as_typed(data: Any, initial: Any) -> Any:
    """Show JSON as somebody wrote it: what was read may be nothing that can be sent."""
    return initial if data is None else InvalidJSONInput(data)


def _hide(field: forms.Field) -> None:
    """Let nobody read a value over a shoulder, nor in a page that comes back."""
    if type(field.widget) in ONE_LINE:
        attributes = {**field.widget.attrs, "autocomplete": "off"}
        field.widget = forms.PasswordInput(attributes)
    if field.initial is not None:
        field.initial, field.required = None, False
    field.prepare_value = _nothing  # type: ignore[method-assign]


def _nothing(value: Any) -> None:
    """Be what is shown of any value."""


def _named_by(
    request: HttpRequest, task: type[Task], masked: Collection[str]
) -> dict[str, Any]:
    """Return values from the address; what is masked does not belong there."""
    return {
        name: _from_address(field, request.GET, name)
        for name, field in task.fields.items()
        if name not in masked and _is_named(field.widget, request.GET, name)
    }


def _from_address(field: forms.Field, query: QueryDict, name: str) -> Any:
    value = field.widget.value_from_datadict(query, MultiValueDict(), name)
    return _as_typed(value, "") if isinstance(field, forms.JSONField) else value


def _is_named(widget: forms.Widget, query: QueryDict, name: str) -> bool:
    """Tell whether the address has a value, be it in parts, such as name_0, name_1."""
    if name in query:
        return True
    # A box that is not ticked is not named anywhere; such a widget says so to nothing.
    knows = widget.value_omitted_from_data({}, MultiValueDict(), name)
    return knows and not widget.value_omitted_from_data(query, MultiValueDict(), name)
