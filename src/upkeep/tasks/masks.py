"""What is shown as [FILTERED]: masked parameters, and their values in texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.core.files import File
from django.db.models import Model, QuerySet

from upkeep.conf import conf

FILTERED = "[FILTERED]"

#: A shorter value would be found inside innocent words.
SHORTEST_SECRET = 6


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
    """Return the texts in which the masked values might turn up."""
    hidden = masked_names(values, masked)
    return frozenset(
        form
        for name in hidden
        for text in _texts(values[name])
        for form in (text, repr(text)[1:-1])
        if len(form) >= SHORTEST_SECRET
    )


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
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, Model):
        yield str(value.pk)
    elif value is not None and not isinstance(value, bool | QuerySet):
        yield value.name or "" if isinstance(value, File) else str(value)
