"""
Values that survive JSON: the form in which cursors and parameters are stored.

Text, numbers, lists and dicts are written as themselves. Everything else becomes a
small dict with a tag that begins with "$", such as {"$decimal": "1.10"}. A model
instance or a file is stored as a reference, and what it refers to is looked up
afresh when it is read.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model, QuerySet
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string
from django.utils.functional import Promise
from django.utils.translation import gettext

from upkeep.exceptions import VanishedReference
from upkeep.tasks.uploads import StoredFile

#: PostgreSQL's jsonb turns 1e+16 into an integer and drops the sign of -0.0.
PLAIN_FLOAT = re.compile(r"(?!-0\.0$)-?\d+\.\d+")

#: PostgreSQL's jsonb refuses NUL, and UTF-8 has no lone surrogates.
UNSTORABLE_TEXT = re.compile("[\x00\ud800-\udfff]")

#: MariaDB takes no JSON that is nested deeper than 32; the row's own dict is one more.
DEEPEST = 30

TOO_DEEP = f"This is nested more than {DEEPEST} deep, which not every database stores."


class Unstorable(TypeError):
    """A value is of a type that can be stored, but is itself beyond that."""


def to_storable(value: Any) -> Any:
    """Return the value as JSON that every database takes; TypeError if none would."""
    try:
        data = to_json(value)
    except RecursionError as error:
        raise Unstorable(TOO_DEEP) from error
    if _is_too_deep(data):
        raise Unstorable(TOO_DEEP)
    return data


def _is_too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _inside(each)]
    return any(isinstance(each, list | dict) for each in level)


def _inside(data: Any) -> Iterable[Any]:
    if isinstance(data, dict):
        return data.values()
    return data if isinstance(data, list) else ()


def to_json(value: Any) -> Any:
    """Return the value as JSON; TypeError if its type cannot be stored."""
    for kind in KINDS:
        if isinstance(value, kind.types):
            return kind.encode(value)
    raise TypeError(
        f"A value of type {type(value).__name__} cannot be stored. Use text, numbers, "
        "dates, UUIDs, bytes, saved model instances, or lists and dicts of these."
    )


def from_json(data: Any) -> Any:
    """Return the value that was stored; VanishedReference if it no longer exists."""
    if isinstance(data, list):
        return [from_json(item) for item in data]
    if not isinstance(data, dict):
        return data
    tag = tag_of(data)
    if tag is None:
        return {key: from_json(item) for key, item in data.items()}
    return kind_tagged(tag).decode(data)


def canonical(data: Any) -> str:
    """Return the one text of this JSON, for comparing and hashing."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def show(data: Any) -> str:
    """Say a stored value in one line for people, without asking the database."""
    if data is None or data == []:
        return "–"
    if isinstance(data, bool):
        return gettext("Yes") if data else gettext("No")
    if isinstance(data, list):
        return ", ".join(map(show, data))
    if not isinstance(data, dict):
        return _show_text(str(data))
    tag = tag_of(data)
    return _show_dict(data) if tag is None else kind_tagged(tag).show(data)


def tag_of(data: dict[str, Any]) -> str | None:
    """Return the tag of a stored dict, or None for a dict that is just a dict."""
    # Not the first key: jsonb keeps its keys in an order of its own.
    return next((key for key in data if key.startswith("$")), None)


# The kinds of values


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the values of some types are written."""

    types: tuple[type, ...]
    encode: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged(Kind):
    """A kind that JSON does not know: how its dict is read again, and shown."""

    tag: str
    decode: Callable[[dict[str, Any]], Any]
    show: Callable[[dict[str, Any]], str]


def kind_tagged(tag: str) -> Tagged:
    """Return the kind that a tag stands for."""
    try:
        return TAGGED[tag]
    except KeyError:
        raise ValueError(
            f"A stored value has the tag {tag}, which this version of Upkeep does not "
            "know. It was probably written by a newer one."
        ) from None


def _scalar(
    tag: str,
    *types: type,
    write: Callable[[Any], str] = str,
    read: Callable[[str], Any],
    show: Callable[[Any], str] = str,
    encode: Callable[[Any], Any] | None = None,
) -> Tagged:
    """Return a kind of which each value is one text."""
    return Tagged(
        tag=tag,
        types=types,
        encode=encode or (lambda value: {tag: write(value)}),
        decode=lambda data: read(data[tag]),
        show=lambda data: show(read(data[tag])),
    )


def _as_it_is(value: Any) -> Any:
    return value


def _encode_float(value: float) -> Any:
    text = repr(float(value))
    return float(value) if PLAIN_FLOAT.fullmatch(text) else {"$float": text}


# Text and containers


def _encode_text(value: str) -> Any:
    if UNSTORABLE_TEXT.search(value):
        return {"$text": value.encode("unicode_escape").decode("ascii")}
    return str(value)


def _decode_text(text: str) -> str:
    return text.encode("ascii").decode("unicode_escape")


def _show_text(text: str) -> str:
    """Return a text that can be sent to people, whatever stands in it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _encode_list(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    return [to_json(item) for item in value]


def _encode_dict(value: dict[Any, Any]) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str) or UNSTORABLE_TEXT.search(key):
            raise Unstorable(
                f"A dict can be stored if its keys are text; {key!r} is not."
            )
    data = {str(key): to_json(item) for key, item in value.items()}
    return data if tag_of(data) is None else {"$dict": data}


def _decode_dict(data: dict[str, Any]) -> dict[str, Any]:
    return {key: from_json(item) for key, item in data["$dict"].items()}


def _show_dict(data: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {show(item)}" for key, item in data.items())


# Moments


def _write_datetime(value: datetime) -> str:
    aware = value.utcoffset() is not None
    try:
        return (value.astimezone(UTC) if aware else value).isoformat()
    except OverflowError as error:
        raise Unstorable(
            f"{value} lies before the year 1 or after the year 9999 in UTC."
        ) from error


def _show_datetime(value: datetime) -> str:
    try:
        return str(timezone.localtime(value) if timezone.is_aware(value) else value)
    except OverflowError:  # No calendar of this time zone has it.
        return str(value)


# References


def _encode_model(value: Model) -> dict[str, Any]:
    if value.pk is None or value._state.adding:
        raise TypeError(
            f"This {value._meta.label} is not saved, so nothing could find it again. "
            "Save it first."
        )
    # Where it is written, for a replica may lag behind.
    alias = router.db_for_write(type(value), instance=value)
    return _reference(
        {"$model": value._meta.label_lower, "pk": to_json(value.pk)}, alias
    )


def _decode_model(data: dict[str, Any]) -> Any:
    pk = from_json(data["pk"])
    try:
        return _records(data, "$model").get(pk=_as_key(pk))
    except ObjectDoesNotExist as error:
        raise VanishedReference(
            f"The {data['$model']} with the primary key {pk} no longer exists."
        ) from error


def _show_model(data: dict[str, Any]) -> str:
    return f"{_verbose_name(data['$model'])} {show(data['pk'])}"


def _encode_queryset(value: QuerySet[Any]) -> dict[str, Any]:
    pks = [to_json(pk) for pk in value.values_list("pk", flat=True)]
    # The same records are the same value, whatever order they come in.
    data = {"$models": value.model._meta.label_lower, "pks": sorted(pks, key=canonical)}
    return _reference(data, _alias(value))


def _alias(queryset: QuerySet[Any]) -> str:
    # What using() chose; `queryset.db` would ask the router where to read.
    chosen: str | None = queryset._db  # type: ignore[attr-defined]
    return chosen or router.db_for_write(queryset.model)


def _decode_queryset(data: dict[str, Any]) -> QuerySet[Any]:
    # Records that are gone drop out, as from any queryset: a task that deletes the
    # ones it is given must be able to go on.
    pks = [_as_key(from_json(pk)) for pk in data["pks"]]
    return _records(data, "$models").filter(pk__in=pks)


def _show_queryset(data: dict[str, Any]) -> str:
    return f"{_verbose_name(data['$models'])} {show(data['pks'])}"


def _reference(data: dict[str, Any], alias: str) -> dict[str, Any]:
    return data if alias == DEFAULT_DB_ALIAS else {**data, "database": alias}


def _records(data: dict[str, Any], tag: str) -> QuerySet[Any]:
    # Not the default manager, which may hide rows (of other tenants, "deleted" ones):
    # what was accepted once must be found again, as Django's own relations do.
    manager = _model(data[tag])._base_manager
    return manager.using(data.get("database", DEFAULT_DB_ALIAS))


def _model(label: str) -> type[Model]:
    try:
        return apps.get_model(label)
    except LookupError as error:
        raise VanishedReference(f"The model {label} no longer exists.") from error


def _verbose_name(label: str) -> str:
    try:
        return str(apps.get_model(label)._meta.verbose_name)
    except LookupError:
        return label


def _as_key(pk: Any) -> Any:
    # The value of a composite primary key is a tuple, which JSON does not have.
    return tuple(pk) if isinstance(pk, list) else pk


def _encode_file(value: StoredFile) -> dict[str, Any]:
    return {
        "$file": value.storage_name,
        "name": value.name,
        "size": value.size,
        "sha256": value.sha256,
    }


def _decode_file(data: dict[str, Any]) -> StoredFile:
    return StoredFile(
        name=data["name"],
        storage_name=data["$file"],
        size=data["size"],
        sha256=data["sha256"],
    )


def _show_file(data: dict[str, Any]) -> str:
    return f"{data['name']} ({filesizeformat(data['size'])})"


#: The first that fits decides: an enum may be a text, a bool is an int, a datetime
#: is a date.
KINDS: tuple[Kind, ...] = (
    Kind(types=(Enum,), encode=lambda member: to_json(member.value)),
    Kind(types=(Promise,), encode=lambda text: to_json(str(text))),
    Kind(types=(bool, NoneType), encode=_as_it_is),
    Kind(types=(int,), encode=int),
    _scalar("$float", float, read=float, encode=_encode_float),
    _scalar("$text", str, read=_decode_text, show=_show_text, encode=_encode_text),
    Kind(types=(list, tuple), encode=_encode_list),
    Tagged(
        tag="$dict",
        types=(dict,),
        encode=_encode_dict,
        decode=_decode_dict,
        show=lambda data: _show_dict(data["$dict"]),
    ),
    _scalar("$decimal", Decimal, read=Decimal),
    _scalar(
        "$datetime",
        datetime,
        write=_write_datetime,
        read=datetime.fromisoformat,
        show=_show_datetime,
    ),
    _scalar("$date", date, write=date.isoformat, read=date.fromisoformat),
    _scalar("$time", time, write=time.isoformat, read=time.fromisoformat),
    _scalar("$timedelta", timedelta, write=duration_iso_string, read=parse_duration),
    _scalar("$uuid", UUID, read=UUID),
    _scalar(
        "$bytes",
        bytes,
        bytearray,
        memoryview,
        write=lambda value: b64encode(value).decode("ascii"),
        read=b64decode,
        show=lambda value: filesizeformat(len(value)),
    ),
    Tagged(
        tag="$model",
        types=(Model,),
        encode=_encode_model,
        decode=_decode_model,
        show=_show_model,
    ),
    Tagged(
        tag="$models",
        types=(QuerySet,),
        encode=_encode_queryset,
        decode=_decode_queryset,
        show=_show_queryset,
    ),
    Tagged(
        tag="$file",
        types=(StoredFile,),
        encode=_encode_file,
        decode=_decode_file,
        show=_show_file,
    ),
)

TAGGED = {kind.tag: kind for kind in KINDS if isinstance(kind, Tagged)}
