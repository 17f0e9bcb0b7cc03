"""What is shown as [FILTERED]: masked parameters, and their values in texts."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

from django.core.files import File
from django.db.models import Model, QuerySet

from upkeep.conf import conf

FILTERED = "[FILTERED]"

#: A shorter value would be found inside innocent words.
SHORTEST_SECRET = 6

#: A key has fewer lines; to look for each line of a long text would take its time.
MOST_LINES = 200


def masked_names(names: Iterable[str], masked: Collection[str]) -> frozenset[str]:
    """
    Return the names to mask: those that the task lists, and what the settings say.

    The words of `UPKEEP["MASKED"]` mask every name that they are a part of.
    """
    words = [word.lower() for word in conf.MASKED]
    return frozenset(
        name
        for name in names
        if name in masked or any(word in name.lower() for word in words)
    )


def secrets_of(values: Mapping[str, Any], masked: Collection[str]) -> frozenset[str]:
    """
    Return the texts in which the masked values might turn up.

    Each as it is, as Python, JSON and addresses write it, and by line, as a log may
    have it.
    """
    hidden = masked_names(values, masked)
    return frozenset(
        form
        for name in hidden
        for text in _texts(values[name])
        for part in {text, *_lines(text)}
        for form in _forms(part)
        if len(form) >= SHORTEST_SECRET
    )


def secrets_in(stored: Mapping[str, Any], masked: Collection[str]) -> frozenset[str]:
    """Return the texts of stored parameters to mask where the task cannot be made."""
    return secrets_of({name: _untagged(stored[name]) for name in stored}, masked)


def mask_text(text: str, secrets: Iterable[str]) -> str:
    """Replace the secrets of six characters or more wherever they occur in a text."""
    long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
    if not long_enough:
        return text
    # The longest first, lest a part of it be left standing beside a shorter one.
    alternatives = map(re.escape, sorted(long_enough, key=len, reverse=True))
    return re.sub("|".join(alternatives), FILTERED, text)


def mask_value(value: Any, secrets: Collection[str]) -> Any:
    """Replace the secrets in all texts of a value that fits in JSON."""
    if isinstance(value, str):
        return mask_text(value, secrets)
    if isinstance(value, dict):
        return {
            mask_value(key, secrets): mask_value(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask_value(item, secrets) for item in value]
    is_secret = isinstance(value, int | float) and str(value) in secrets
    return FILTERED if is_secret else value


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return lines if len(lines) <= MOST_LINES else []


def _forms(text: str) -> Iterator[str]:
    """Yield the ways in which a text is written inside of others."""
    yield text
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    readable = text.encode("utf-8", "backslashreplace")
    yield repr(readable)[2:-1]
    yield quote(readable)
    yield quote(readable, safe="")
    yield quote_plus(readable)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts that a value is made of."""
    match value:
        case None | bool() | QuerySet():
            return
        case str():
            yield value
        case bytes():
            yield from (value.decode("utf-8", "replace"), repr(value)[2:-1])
        case Mapping() | list() | tuple() | set() | frozenset():
            items = value.values() if isinstance(value, Mapping) else value
            yield from chain.from_iterable(map(_texts, items))
        case Model():
            yield str(value.pk)
        case UUID():  # Some databases have it without its hyphens.
            yield from (str(value), value.hex)
        case File():
            yield from (value.name or "", getattr(value, "storage_name", ""))
        case _:
            yield from (str(value), repr(value))


def _untagged(data: Any) -> Any:
    """Return stored JSON without the names of its models, which are no secret."""
    if isinstance(data, list):
        return [_untagged(item) for item in data]
    if not isinstance(data, dict):
        return data
    return [
        _untagged(item)
        for key, item in data.items()
        if key not in {"$model", "$models", "database"}
    ]
