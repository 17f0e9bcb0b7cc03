"""
Parameters: what a task takes, declared as Django form fields.

They pass through here four times: collected from the class, cleaned from what a
caller gives, dumped into the row of the run, and loaded from it for the worker.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from enum import Enum, EnumType
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from textwrap import shorten
from typing import IO, Any, BinaryIO, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.files import File
from django.forms.models import apply_limit_choices_to_to_formfield

from upkeep.exceptions import InvalidParameters, InvalidTask, VanishedReference
from upkeep.tasks import uploads
from upkeep.tasks.masks import FILTERED, mask_text, masked_names, secrets_of
from upkeep.tasks.reading import in_project_terms
from upkeep.tasks.types import fits
from upkeep.tasks.uploads import LocalFile, StoredFile
from upkeep.tasks.values import (
    TOO_DEEP,
    Unstorable,
    canonical,
    from_json,
    show,
    tag_of,
    to_storable,
)

Fields = Mapping[str, forms.Field]

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})
# What fields raise, beside ValidationError, for values that they were not made for.
UNFIT = (AttributeError, TypeError, ValueError, ArithmeticError)

UNKNOWN = frozenset({"", "none", "null", "unknown"})

# Enough of a stored value to know it by.
LONGEST_SHOWN = 100

# Sentences of Django, which it has in every language.
THAT_CHOICE = forms.ModelChoiceField.default_error_messages["invalid_choice"]
THIS_CHOICE = forms.ChoiceField.default_error_messages["invalid_choice"]

# A run is not guessed at: to go on without what it was given, or with less than the
# task needs, would be to do something else than was asked for.
NO_LONGER_TAKEN = (
    "The run was started with this parameter, which the task no longer takes. Declare "
    "it again and resume the run, or cancel the run and start a new one."
)
NOW_NEEDED = (
    "The run was started before the task had this parameter, which needs a value. Give "
    "it an initial one and resume the run, or cancel the run and start a new one."
)


def parameter(field: object) -> Any:
    """Return the field, typed so that the attribute can bear the type of its value."""
    if not isinstance(field, forms.Field):
        raise InvalidTask(
            f"parameter() takes a form field, such as forms.IntegerField(), and not "
            f"{field!r}."
        )
    return field


# From the class


def collect(cls: type, *, reserved: Collection[str]) -> dict[str, forms.Field]:
    """
    Return the fields of a class and its parents, in the order of declaration.

    Anything else under the name of a parent's field, such as None, takes it away.
    """
    fields: dict[str, forms.Field] = {}
    for parent in reversed(cls.__mro__):
        for name, value in vars(parent).items():
            if isinstance(value, forms.Field):
                _refuse_reserved(cls, name, reserved)
                fields[name] = value
            else:
                fields.pop(name, None)
    return fields


def _refuse_reserved(cls: type, name: str, reserved: Collection[str]) -> None:
    if name.startswith("_"):
        reason = "begins with an underscore, which marks what is not for callers"
    elif name in reserved:
        reason = "is the name of an attribute or method of Task"
    else:
        return
    raise InvalidTask(
        f"{cls.__name__} cannot have a parameter {name!r}: that {reason}. "
        "Give it another name."
    )


# From a caller


def clean(
    fields: Fields,
    given: Mapping[str, Any],
    *,
    owner: str = "The task",
    masked: Collection[str] = (),
) -> dict[str, Any]:
    """
    Return a typed value for every field, from Python values or a form's texts.

    What is left out takes the field's `initial`. Texts are read in the language and
    time zone of the project, and InvalidParameters has all errors in the caller's.
    """
    values: dict[str, Any] = {}
    refused: dict[str, ValidationError] = {}
    with in_project_terms():
        for name, field in fields.items():
            try:
                values[name] = _clean_one(field, _given_or_initial(name, field, given))
            except ValidationError as error:
                refused[name] = error
    errors = _unknown(fields, given, owner)
    errors |= {name: error.messages for name, error in refused.items()}
    if errors:
        raise InvalidParameters(without(secrets_of(given, masked), errors))
    return values


def without(
    secrets: Collection[str], errors: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Return what is wrong, by parameter, with secrets masked in the sentences."""
    return {
        name: [mask_text(sentence, secrets) for sentence in sentences]
        for name, sentences in errors.items()
    }


def _unknown(fields: Fields, given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    unknown = [name for name in given if name not in fields]
    if not unknown:
        return {}
    word = "parameter" if len(unknown) == 1 else "parameters"
    takes = f"takes: {', '.join(fields)}" if fields else "takes none"
    sentence = f"Unknown {word}: {', '.join(unknown)}. {owner} {takes}."
    return {NON_FIELD_ERRORS: [sentence]}


def _given_or_initial(name: str, field: forms.Field, given: Mapping[str, Any]) -> Any:
    # A disabled field keeps its initial, whatever is submitted, as in any form.
    if name in given and not field.disabled:
        return given[name]
    return field.initial() if callable(field.initial) else field.initial


def limited(field: forms.Field, *, copy: bool = False) -> forms.Field:
    """Return the field with its `limit_choices_to` applied, which forms leave out."""
    is_limited = getattr(field, "limit_choices_to", None) is not None
    if copy or is_limited:
        field = deepcopy(field)
    if is_limited:
        apply_limit_choices_to_to_formfield(field)
    return field


def _naming(field: forms.Field) -> forms.Field:
    """
    Return the field with a sentence that names the key which it refuses.

    Django's own says "that choice", for it thinks of a list; here a key was typed.
    """
    if (
        isinstance(field, forms.ModelChoiceField)
        and field.error_messages["invalid_choice"] == THAT_CHOICE
    ):
        field = deepcopy(field)
        field.error_messages["invalid_choice"] = THIS_CHOICE
    return field


def _clean_one(field: forms.Field, value: Any) -> Any:
    try:
        return _naming(limited(field)).clean(_as_submitted(field, value))
    except RecursionError as error:
        raise ValidationError(TOO_DEEP) from error
    except UNFIT as error:
        # Fields expect what forms submit: a DateField, for one, calls strip() on 5.
        raise ValidationError(
            f"{type(field).__name__} cannot take a value of type "
            f"{type(value).__name__}: {error}."
        ) from error


def _as_submitted(field: forms.Field, value: Any) -> Any:
    """Return a Python value in the form in which this field can clean it."""
    if isinstance(value, list | tuple):
        return [_element(field, item) for item in value]
    if isinstance(field, forms.MultiValueField) and value is not None:
        return field.widget.decompress(value)
    return _element(field, value)


def _element(field: forms.Field, value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return _as_file(value) if isinstance(field, forms.FileField) else value


def _as_file(value: Any) -> Any:
    """Return what a FileField cleans: a file that knows its name and size."""
    if isinstance(value, str) and value:
        raise ValidationError("Give an open file or a pathlib.Path, not text.")
    if isinstance(value, Path):
        return _local_file(value)
    if isinstance(value, io.IOBase):
        name = str(getattr(value, "name", "file"))
        value = File(cast("IO[Any]", value), name=Path(name).name)
    if isinstance(value, File) and isinstance(_below(value), io.TextIOBase):
        raise ValidationError(
            "Open the file in binary mode ('rb'): this one gives text."
        )
    return value


def _below(file: File[bytes]) -> Any:
    # A lazy file is binary, and looking at what lies below would open it.
    return None if isinstance(file, uploads.LazyFile) else file.file


def _local_file(path: Path) -> LocalFile:
    try:
        file = LocalFile(path)
        file.open().close()
    except OSError as error:
        raise ValidationError(f"{path} cannot be read: {error.strerror}.") from error
    return file


# From the command line


def from_text(
    fields: Fields,
    pairs: Iterable[tuple[str, str]],
    *,
    stdin: BinaryIO | None = None,
    masked: Collection[str] = (),
) -> dict[str, Any]:
    """
    Return what `clean` takes, from pairs of name and text.

    A name that is repeated makes a list; for a file the text is @path, or - for the
    standard input. InvalidParameters has all errors. The caller closes the files.
    """
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    given: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, several in texts.items():
        try:
            given[name] = _read_texts(fields.get(name), several, stdin)
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        values = {name: _named(several) for name, several in texts.items()}
        raise InvalidParameters(without(secrets_of(values, masked), errors))
    return given


def _named(texts: list[str]) -> list[str]:
    return [text.removeprefix("@") for text in texts]


def _read_texts(
    field: forms.Field | None, texts: list[str], stdin: BinaryIO | None
) -> Any:
    read = _reader(field, stdin)
    if field is not None and _takes_several(field):
        return [read(text) for text in texts]
    if len(texts) > 1:
        raise ValidationError(f"Given {len(texts)} times, but it takes one value.")
    return read(texts[0])


def _takes_several(field: forms.Field) -> bool:
    several = (
        forms.MultipleChoiceField,
        forms.ModelMultipleChoiceField,
        forms.MultiValueField,
    )
    selects = getattr(field.widget, "allow_multiple_selected", False)
    return selects or isinstance(field, several)


def _reader(field: forms.Field | None, stdin: BinaryIO | None) -> Callable[[str], Any]:
    if isinstance(field, forms.FileField):
        return lambda text: _read_file(text, stdin or sys.stdin.buffer)
    if isinstance(field, forms.NullBooleanField):
        return lambda text: None if text.lower() in UNKNOWN else _read_boolean(text)
    if isinstance(field, forms.BooleanField):
        return _read_boolean
    return str


def _read_boolean(text: str) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise ValidationError(f"Say yes or no, true or false, not {text!r}.")
    return text.lower() in TRUE


def _read_file(text: str, stdin: BinaryIO) -> File[bytes]:
    if text == "-":
        return _spooled(stdin)
    if text.startswith("@"):
        return _local_file(Path(text[1:]))
    raise ValidationError("Give a file as @path, or - for the standard input.")


def _spooled(stream: BinaryIO) -> File[bytes]:
    # A pipe cannot be read twice, and has no size before its end.
    spool = TemporaryFile()  # noqa: SIM115  # the caller closes it
    copyfileobj(stream, spool)
    spool.seek(0)
    return File(spool, name="standard-input")


# Into the row of the run, and out of it


def dump(fields: Fields, values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return cleaned values as JSON; files are copied into the storage.

    InvalidParameters if a value cannot be stored, TypeError if none of its type can;
    no copy is left behind then.
    """
    data: dict[str, Any] = {}
    try:
        for name, field in fields.items():
            data[name] = _dump_one(name, field, values[name])
    except BaseException:
        delete_files(data)
        raise
    return data


def load(
    fields: Fields, data: Mapping[str, Any], masked: Collection[str] = ()
) -> dict[str, Any]:
    """
    Return the values of a run's stored parameters; a newly declared one its initial.

    InvalidParameters if the task no longer takes one of them, takes one of another
    type, or needs a new one; VanishedReference if a record or file is gone.
    """
    gone = [name for name in data if name not in fields]
    if gone:
        raise InvalidParameters({name: [NO_LONGER_TAKEN] for name in gone})
    values = _initials({name: fields[name] for name in fields if name not in data})
    values |= {name: _read_one(name, data[name]) for name in data}
    changed = [name for name in data if not fits(fields[name], values[name])]
    if changed:
        shown = describe(fields, data, masked)
        raise InvalidParameters(
            {name: [_other_type(fields[name], shown[name])] for name in changed}
        )
    return {name: _as_seen(fields[name], values[name]) for name in fields}


def delete_files(data: Mapping[str, Any]) -> None:
    """Remove the files of stored parameters from the storage."""
    for stored in _files_in(list(data.values())):
        uploads.delete(stored)


def fingerprint(data: Mapping[str, Any]) -> str:
    """
    Return what two runs with the same parameters have in common, as hex digits.

    Two copies of a file with the same name and content are the same.
    """
    identity = canonical(_without_places(dict(data)))
    return hashlib.sha256(identity.encode()).hexdigest()


def describe(
    fields: Fields, data: Mapping[str, Any], masked: Collection[str]
) -> dict[str, str]:
    """Return stored parameters as people may see them, the task's own ones first."""
    hidden = masked_names(data, masked)
    names = [name for name in fields if name in data]
    names += [name for name in data if name not in fields]
    return {name: FILTERED if name in hidden else show(data[name]) for name in names}


def _dump_one(name: str, field: forms.Field, value: Any) -> Any:
    if isinstance(field, forms.FileField):
        value = _saved(value)
    try:
        return to_storable(value)
    except Unstorable as error:
        raise InvalidParameters({name: [str(error)]}) from error
    except TypeError as error:
        raise TypeError(f"Parameter {name}: {error}") from error


def _saved(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_saved(item) for item in value]
    if isinstance(value, File):
        return uploads.save(value)
    # A field that wraps its files gives values that hold them, such as a CSVFile.
    return uploads.save(value.file) if hasattr(value, "file") else value


def _initials(fields: Fields) -> dict[str, Any]:
    try:
        return clean(fields, {})
    except InvalidParameters as error:
        raise InvalidParameters(
            {name: [NOW_NEEDED] for name in error.errors}
        ) from error


def _read_one(name: str, data: Any) -> Any:
    try:
        return from_json(data)
    except VanishedReference as error:
        raise VanishedReference(f"Parameter {name}: {error}") from error


def _other_type(field: forms.Field, shown: str) -> str:
    return (
        f"The run was started with {shorten(shown, LONGEST_SHOWN)}, and "
        f"{type(field).__name__} makes values of another type. Give the parameter its "
        "former field and resume the run, or cancel the run and start a new one."
    )


def _as_seen(field: forms.Field, value: Any) -> Any:
    """Return a stored value as the task sees it: a file wrapped, a choice a member."""
    if isinstance(field, forms.FileField):
        return _wrapped(field, value)
    coerce = getattr(field, "coerce", None)
    return _as_members(coerce, value) if isinstance(coerce, EnumType) else value


def _wrapped(field: forms.FileField, value: Any) -> Any:
    if isinstance(value, list):
        return [_wrapped(field, item) for item in value]
    wrap = getattr(field, "wrap", None)
    return wrap(value) if wrap and isinstance(value, StoredFile) else value


def _as_members(enum: Callable[[Any], Any], value: Any) -> Any:
    """Return the members that a typed choice was cleaned to, from their values."""
    if isinstance(value, list):
        return [_as_members(enum, item) for item in value]
    is_member = isinstance(value, Enum) or value in forms.Field.empty_values
    return value if is_member else enum(value)


def _files_in(data: Any) -> Iterable[StoredFile]:
    if isinstance(data, list):
        for item in data:
            yield from _files_in(item)
    elif isinstance(data, dict) and tag_of(data) == "$file":
        yield from_json(data)


def _without_places(data: Any) -> Any:
    if isinstance(data, list):
        return [_without_places(item) for item in data]
    if not isinstance(data, dict):
        return data
    tag = tag_of(data)
    if tag == "$file":
        return {key: item for key, item in data.items() if key != "$file"}
    # Below this tag lies a dict of the user, with keys that only look like tags.
    return data if tag == "$dict" else {k: _without_places(v) for k, v in data.items()}
