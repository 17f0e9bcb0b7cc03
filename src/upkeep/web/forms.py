"""The form by which a task is started: its parameters as HTML."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.core.files import File
from django.forms.fields import InvalidJSONInput
from django.forms.utils import ErrorDict
from django.template.defaultfilters import filesizeformat
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from upkeep.exceptions import InvalidParameters
from upkeep.tasks import uploads
from upkeep.tasks.masks import masked_names
from upkeep.tasks.reading import in_project_terms
from upkeep.web.inputs import ParameterField, as_asked, explain
from upkeep.web.kept import Keeper, Kept

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from django.http import HttpRequest, QueryDict

    from upkeep.tasks.base import Task
    from upkeep.tasks.uploads import StoredFile


logger = logging.getLogger("upkeep")

ONE_LINE = {forms.TextInput, forms.NumberInput, forms.EmailInput, forms.URLInput}


class ParameterForm(forms.Form):
    """
    Shows the parameters of a task and takes what a person fills in.

    It judges nothing itself: the task does when the run is enqueued, and what it
    finds wrong is shown here.
    """

    bound_field_class = ParameterField

    masked: frozenset[str] = frozenset()
    """Fields that come back empty, whatever was filled in."""

    unsaid: frozenset[str] = frozenset()
    """Those of them that have a value already, for who leaves them empty."""

    refusals: Mapping[str, Sequence[str]] = {}

    keeper: Keeper
    kept: Mapping[str, Kept] = {}
    """Files that an earlier attempt brought, by field."""

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
        self.refusals = refusals
        self.full_clean()

    @property
    def given(self) -> dict[str, Any]:
        """What was filled in, for the task to clean, and files that were kept."""
        filled_in = {
            field.name: field.data
            for field in self
            if field.data or field.name not in self.unsaid
        }
        return filled_in | {name: kept.file for name, kept in self.kept.items()}

    def find_files(self) -> None:
        """
        Take up the files that an earlier attempt brought.

        Raises InvalidParameters where one is gone: without a word the task might be
        started without it.
        """
        tokens = {name: self.data.get(f"{name}-kept") for name in self._kept_fields()}
        wanted = {name: token for name, token in tokens.items() if token}
        found = {name: self.keeper.find(name, wanted[name]) for name in wanted}
        self.kept = {name: kept for name, kept in found.items() if kept}
        if gone := wanted.keys() - self.kept.keys():
            sentence = _("The file is no longer kept. Choose it again.")
            raise InvalidParameters({name: [sentence] for name in gone})

    def keep_files(self) -> None:
        """Keep the files that nothing was wrong with, for the next attempt."""
        brought = {
            name: self.keeper.keep(name, self[name].data)
            for name in self._kept_fields(brought=True)
            if name not in self.refusals
        }
        fine = {name: k for name, k in self.kept.items() if name not in self.refusals}
        self.kept = fine | {name: kept for name, kept in brought.items() if kept}
        for name, kept in self.kept.items():
            self.initial[name] = kept.file.name  # It is not required any more.
            explain(self[name], _in_words(kept.file))

    def forget_files(self) -> None:
        """Remove what was kept, now that the run has a copy of its own."""
        for kept in self.kept.values():
            try:
                uploads.delete(kept.file)
            except Exception:  # Whatever a storage may raise: the run has begun.
                logger.warning("%s is left to the sweep.", kept.file, exc_info=True)

    def _kept_fields(self, *, brought: bool = False) -> list[str]:
        """Return the fields of one file that came, or did not come, with the form."""
        return [
            name
            for name, field in self.fields.items()
            if isinstance(field, forms.FileField) and name not in self.masked
            if isinstance(self[name].data, File) is brought
        ]

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


def _in_words(file: StoredFile) -> str:
    sentence = _("%(file)s (%(size)s) is kept; choose another file to replace it.")
    return sentence % {"file": file.name, "size": filesizeformat(file.size)}


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
    form_class.keeper = Keeper.of(task, request)
    if request.method == "POST":
        return form_class(request.POST, request.FILES, label_suffix="")
    named = _named_by(request, form_class.base_fields, masked)
    return form_class(initial=named, label_suffix="")


def _fields_of(task: type[Task], masked: Collection[str]) -> dict[str, forms.Field]:
    fields = {name: as_asked(field) for name, field in task.fields.items()}
    for field in fields.values():
        if isinstance(field, forms.JSONField):
            field.bound_data = _as_typed  # type: ignore[method-assign]
    for name in masked:
        _hide(fields[name])
    return fields


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
    request: HttpRequest, fields: Mapping[str, forms.Field], masked: Collection[str]
) -> dict[str, Any]:
    """Return values from the address; what is masked does not belong there."""
    with in_project_terms():
        return {
            name: _from_address(field, request.GET, name)
            for name, field in fields.items()
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
