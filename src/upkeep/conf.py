"""The settings of Upkeep: one screen, read from `settings.UPKEEP` when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """The values of `settings.UPKEEP`, with their defaults."""

    TASKS_MODULE: str = "maintenance"
    """The module or package of each app in which its tasks are found."""

    LEASE: timedelta = timedelta(seconds=30)
    """How long a silent worker keeps a run before another may take it over."""

    STUCK_AFTER: timedelta | None = timedelta(minutes=5)
    """How long an item may take before its run says where it stands; None: any time."""

    TIME_BUDGET: timedelta | None = timedelta(minutes=2)
    """How long a run keeps a worker before it queues up again; None: to its end."""

    CHUNK: timedelta = timedelta(seconds=0.5)
    """The work of one transaction; at most 0.1 s on SQLite, which has one writer."""

    CHECKPOINT_EVERY: timedelta = timedelta(seconds=1)
    """How often a task that is not atomic saves its place."""

    STORAGE: str | None = None
    """The alias in `STORAGES` of uploads; None: "upkeep", or a private folder."""

    MAX_UPLOAD: int | None = 1 << 30
    """The bytes that a file may have, a packed one unpacked; None: any number."""

    MAX_COLUMNS: int | None = 1000
    """The columns that a file of rows may have; None: any number."""

    LOG_LINES: int | None = 10_000
    """The log lines that are kept of a run; None: all of them."""

    MASKED: tuple[str, ...] = ("password", "secret", "token", "api_key")
    """Parameters with one of these in their name are shown as [FILTERED]."""

    METADATA: Callable[..., object] | str | None = None
    """What is attached to runs of pages: called with the request; or its path."""

    RETENTION: timedelta | None = None
    """How long runs that are over are kept, with all that is theirs; None: for ever."""

    MAIL_ON_ERROR: bool = False
    """Whether the person who asked for a run gets a mail when an error stops it."""

    MAIL_ON_DEAD_LETTER: bool = False
    """Whether dead letters are told of by mail, of one cause at most one an hour."""

    NEW_CAUSE_AFTER: timedelta = timedelta(hours=24)
    """A cause of dead letters that was not seen for so long is a new one."""

    BASE_URL: str = ""
    """What stands before the paths of pages in a mail: "https://shop.example.com"."""

    ERROR_REPORTER: Callable[..., object] | str | None = None
    """What is told of errors, or its dotted path; None: the logger alone."""


class _LazyConf:
    """Give the settings as attributes, as they are when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_current(), name)


@cache
def _current() -> Conf:
    known = {field.name for field in fields(Conf)}
    given = getattr(settings, "UPKEEP", {})
    if not isinstance(given, Mapping):
        return Conf()  # A system check speaks of it.
    return Conf(**{name: value for name, value in given.items() if name in known})


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "UPKEEP":
        _current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="upkeep.conf")

conf: Conf = _LazyConf()  # type: ignore[assignment]
