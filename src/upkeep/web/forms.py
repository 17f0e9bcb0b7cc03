"""The form by which a task is started: its parameters as HTML."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.utils import ErrorDict

from upkeep.tasks.masks import masked_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpRequest

    from upkeep.tasks.base import Task


class ParameterForm(forms.Form):
    """
    Shows the parameters of a task and takes what a person fills in.

    It judges nothing itself: the task does when the run is enqueued, and what it
    finds wrong is shown here.
    """

    refusals: Mapping[str, Sequence[str]] = {}

    def full_clean(self) -> None:
        """Take over what the task found wrong."""
        self._errors = ErrorDict(renderer=self.renderer)
        self.cleaned_data = {}
        for name, sentences in self.refusals.items():
            key = name if name in self.fields else NON_FIELD_ERRORS
            errors = self._errors.setdefault(
                key, self.error_class(renderer=self.renderer)
            )
            errors.extend(sentences)

    def refuse(self, refusals: Mapping[str, Sequence[str]]) -> None:
        """Show what is wrong, beside the fields where it is."""
        self.refusals = refusals
        self.full_clean()

    @property
    def given(self) -> dict[str, Any]:
        """What was filled in, for the task to clean."""
        return {field.name: field.data for field in self}


def form_of(task: type[Task], request: HttpRequest) -> ParameterForm:
    """Return the form: filled in by POST, or with values that the address names."""
    form_class: type[ParameterForm] = type(
        "TaskForm", (ParameterForm,), _fields_of(task)
    )
    if request.method == "POST":
        return form_class(request.POST, request.FILES, label_suffix="")
    return form_class(initial=_named_by(request, task), label_suffix="")


def _fields_of(task: type[Task]) -> dict[str, forms.Field]:
    fields = deepcopy(task.fields)
    for name in masked_names(fields, task.masked):
        field = fields[name]
        if type(field.widget) is forms.TextInput:
            # Nobody reads it over a shoulder, nor in a page that comes back.
            field.widget = forms.PasswordInput(
                {**field.widget.attrs, "autocomplete": "off"}
            )
        field.initial = None
    return dict(fields)


def _named_by(request: HttpRequest, task: type[Task]) -> dict[str, Any]:
    """Return values from the address; what is masked does not belong there."""
    hidden = masked_names(task.fields, task.masked)
    return {
        name: field.widget.value_from_datadict(request.GET, {}, name)
        for name, field in task.fields.items()
        if name in request.GET and name not in hidden
    }
