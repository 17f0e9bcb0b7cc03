"""Moments, durations and rates in words, the same on pages and in terminals."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

UNITS = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]


def moment(when: datetime | None) -> str:
    """Say a moment in the time zone of the page; an empty text for none."""
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S}" if when else ""


def duration(time: timedelta) -> str:
    """Say a duration by its two largest units, in symbols that need no translation."""
    seconds = time.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    return rough_duration(time)


def rough_duration(time: timedelta) -> str:
    """Say a duration by its two largest units, in whole seconds."""
    rest, words = max(round(time.total_seconds()), 0), list[str]()
    for unit, size in UNITS:
        count, rest = divmod(rest, size)
        if count or words:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def rate(items_a_second: float) -> str:
    """Say a rate, with as many digits as mean something."""
    return _("%(items)s a second") % {"items": rounded(items_a_second)}


def counted(number: int, one: str, several: str = "") -> str:
    """Say how many there are of something, in the English of the command line."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def as_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON to be read by people, in letters that can be written."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def rounded(number: float) -> str:
    """Say a number with the digits that mean something."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def message_of(error: BaseException) -> str:
    """Return what an error says, whatever its own code may do."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001 - as the docstring says
        return f"(Its message cannot be printed: {type(another).__name__}.)"
