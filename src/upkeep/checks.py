"""What can be found wrong before anything runs: system checks, each with its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from inspect import signature
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from upkeep.compat import DummyBackend, InvalidTaskBackend, task_backends
from upkeep.conf import Conf
from upkeep.databases import home
from upkeep.dispatch import messages
from upkeep.exceptions import QueueRefused
from upkeep.tasks import registry, uploads
from upkeep.tasks.base import Job, Task

UTC_NAME = "UTC"

LIMITS = {
    "MAX_UPLOAD": "upkeep.E012",
    "MAX_COLUMNS": "upkeep.E013",
    "LOG_LINES": "upkeep.E021",
}
DURATIONS = ("LEASE", "TIME_BUDGET", "CHUNK", "CHECKPOINT_EVERY")


@register("upkeep")
def check_settings(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check every key of `settings.UPKEEP`."""
    given = getattr(settings, "UPKEEP", {})
    return [
        *_unknown_keys(given),
        *_wrong_values(given),
        *_wrong_limits(given),
        *_unusable_reporter(given),
        *_wrong_mail(given),
    ]


def _unknown_keys(given: dict[str, Any]) -> Iterator[CheckMessage]:
    known = [field.name for field in fields(Conf)]
    for name in given:
        if name not in known:
            yield Error(
                f"UPKEEP has no setting {name!r}.",
                hint=f"There are: {', '.join(known)}.",
                id="upkeep.E001",
            )


def _wrong_values(given: dict[str, Any]) -> Iterator[CheckMessage]:
    for name in DURATIONS:
        value = given.get(name, timedelta(1))
        if value is None and name == "TIME_BUDGET":
            continue
        if not isinstance(value, timedelta) or value <= timedelta(0):
            yield Error(
                f"UPKEEP[{name!r}] must be a timedelta above zero, not {value!r}.",
                id="upkeep.E002",
            )
    if not isinstance(given.get("TASKS_MODULE", ""), str):
        yield Error("UPKEEP['TASKS_MODULE'] must be a string.", id="upkeep.E003")
    storage = given.get("STORAGE")
    if storage is not None and storage not in settings.STORAGES:
        yield Error(
            f"UPKEEP['STORAGE'] is {storage!r}, which STORAGES does not have.",
            id="upkeep.E004",
        )
    if isinstance(given.get("MASKED", ()), str):
        yield Error(
            "UPKEEP['MASKED'] must be a list of names, not a string.", id="upkeep.E005"
        )


def _wrong_limits(given: dict[str, Any]) -> Iterator[CheckMessage]:
    for name, number in LIMITS.items():
        value = given.get(name)
        if value is not None and (not isinstance(value, int) or value < 1):
            yield Error(
                f"UPKEEP[{name!r}] must be a whole number above zero or None, not "
                f"{value!r}.",
                hint="None sets no limit; leave it out for the default.",
                id=number,
            )


def _unusable_reporter(given: dict[str, Any]) -> Iterator[CheckMessage]:
    reporter = given.get("ERROR_REPORTER")
    if isinstance(reporter, str):
        try:
            reporter = import_string(reporter)
        except ImportError as error:
            yield _reporter_error(f"cannot be imported: {error}")
            return
    if reporter is not None and not callable(reporter):
        yield _reporter_error(f"cannot be called: it is {reporter!r}.")


def _wrong_mail(given: dict[str, Any]) -> Iterator[CheckMessage]:
    if not isinstance(given.get("MAIL_ON_ERROR", False), bool):
        yield Error("UPKEEP['MAIL_ON_ERROR'] must be True or False.", id="upkeep.E022")
    address = given.get("BASE_URL", "")
    if address and not str(address).startswith(("https://", "http://")):
        yield Error(
            f"UPKEEP['BASE_URL'] must begin with https:// or http://, not {address!r}.",
            hint="Write the address of the site, such as 'https://shop.example.com'.",
            id="upkeep.E023",
        )


def _reporter_error(problem: str) -> Error:
    return Error(
        f"UPKEEP['ERROR_REPORTER'] {problem}",
        hint="Write report(error, **context), and give it or its dotted path.",
        id="upkeep.E020",
    )


@register("upkeep")
def check_tasks(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that each task has a label of its own and a queue that takes it."""
    lost = [Error(sentence, id="upkeep.E006") for sentence in registry.lost()]
    clashes = [
        Error(sentence, hint="Rename one of them.", id="upkeep.E007")
        for sentence in registry.clashes()
    ]
    return [
        *lost,
        *clashes,
        *_unusable_methods(),
        *_refused_queues(),
        *_backends_that_cannot_wait(),
    ]


def _unusable_methods() -> Iterator[CheckMessage]:
    for task in registry.tasks():
        for name, arguments, instead in _needed_methods(task):
            method = getattr(task, name)
            if method in (getattr(Task, name, None), getattr(Job, name)):
                problem = "is missing"
            elif not _takes(method, arguments):
                problem = "has the wrong arguments"
            else:
                continue
            yield Error(
                f"{task.label()}.{name}() {problem}.",
                hint=f"Write: {instead}.",
                id="upkeep.E009",
            )


def _needed_methods(task: type[Task]) -> list[tuple[str, int, str]]:
    if issubclass(task, Job):
        return [("perform", 1, "def perform(self)")]
    process = ("process", 2, "def process(self, item)")
    if task.has_iterate():
        return [("iterate", 2, "def iterate(self, cursor)"), process]
    return [("collection", 1, "def collection(self)"), process]


def _takes(method: Callable[..., Any], arguments: int) -> bool:
    try:
        signature(method).bind(*range(arguments))
    except TypeError:
        return False
    return True


def _refused_queues() -> Iterator[CheckMessage]:
    for task in registry.tasks():
        try:
            messages.message(
                backend=task.backend,
                queue=task.queue,
                priority=task.priority,
                run_after=None,
            )
        except QueueRefused as error:
            yield Error(f"{task.label()}: {error}", id="upkeep.E008")


def _backends_that_cannot_wait() -> Iterator[CheckMessage]:
    for alias in sorted({task.backend for task in registry.tasks()} | {"default"}):
        try:
            backend = task_backends[alias]
        except InvalidTaskBackend:
            continue  # The check above speaks of it.
        if not backend.supports_defer or isinstance(backend, DummyBackend):
            yield Warning(
                f"TASKS[{alias!r}] is {type(backend).__name__}, which is for tests: "
                "runs would be worked on where they are enqueued, or not at all.",
                hint=(
                    "Set TASKS = {'default': {'BACKEND': "
                    "'django_tasks_db.DatabaseBackend'}}."
                ),
                id="upkeep.W001",
            )


@register("upkeep")
def check_time(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that moments mean the same to Django and to the database's clock."""
    found: list[CheckMessage] = []
    if not settings.USE_TZ:
        found.append(
            Error(
                "Upkeep needs USE_TZ = True.",
                hint="Leases and delays are moments in UTC, by the database's clock.",
                id="upkeep.E010",
            )
        )
    connection = connections[home()]
    if (
        not connection.features.supports_timezones
        and connection.timezone_name != UTC_NAME
        and settings.USE_TZ
    ):
        found.append(
            Error(
                f"DATABASES[{home()!r}] has the TIME_ZONE "
                f"{connection.timezone_name!r}, in which Upkeep's moments would be "
                "hours off.",
                hint="Leave it out, or keep Upkeep's tables in another database.",
                id="upkeep.E011",
            )
        )
    return found


@register("upkeep")
def check_login(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that who may use the pages finds a place to log in."""
    try:
        reverse("upkeep:task-list")
    except (ImproperlyConfigured, NoReverseMatch):
        return []  # The project has no pages of ours.
    # Imported only now: a worker needs no pages.
    login_url = import_string("upkeep.web.access.login_url")
    if login_url() is not None:
        return []
    return [
        Warning(
            "Nobody can log in to see Upkeep's pages.",
            hint="Set LOGIN_URL to a page that is there, or add Django's admin.",
            id="upkeep.W002",
        )
    ]


@register("upkeep")
def check_storage(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that no address leads to the files that tasks are given."""
    address = uploads.public_address()
    if address is None:
        return []
    return [
        Warning(
            f"Files that tasks are given lie where the public can read them: {address}",
            hint=(
                "Give STORAGES a storage 'upkeep' that has no public address, such as "
                "a FileSystemStorage outside of MEDIA_ROOT, or a private bucket."
            ),
            id="upkeep.W003",
        )
    ]
