"""What can be found wrong before anything runs: system checks, each with its id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from upkeep.compat import DummyBackend, InvalidTaskBackend, task_backends
from upkeep.conf import Conf
from upkeep.databases import home, tables_without_transactions
from upkeep.dispatch import messages
from upkeep.exceptions import QueueRefused
from upkeep.tasks import registry, uploads
from upkeep.tasks.base import Job, Task
from upkeep.tasks.methods import is_lazy, takes

UTC_NAME = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the value of a setting must be."""

    fits: Callable[[Any], bool]
    must_be: str
    id: str
    hint: str


def _is_duration(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_module(value: object) -> bool:
    return isinstance(value, str) and all(
        part.isidentifier() for part in value.split(".")
    )


def _is_storage(value: object) -> bool:
    return isinstance(value, str) and value in settings.STORAGES


def _are_words(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(word, str) and word for word in value
    )


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return not value or value.startswith(("https://", "http://"))


def _is_callable(value: object) -> bool:
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError:
            return False
    return callable(value)


def _takes_a_request(value: object) -> bool:
    if not _is_callable(value):
        return False
    function: Any = import_string(value) if isinstance(value, str) else value
    return takes(function, 1) and not is_lazy(function)


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


DURATION = Rule(
    fits=_is_duration,
    must_be="a timedelta above zero",
    id="upkeep.E002",
    hint="Write timedelta(seconds=30), for one; leave it out for the default.",
)
DURATION_OR_NONE = Rule(
    fits=_or_none(_is_duration),
    must_be="a timedelta above zero or None",
    id="upkeep.E002",
    hint="Write timedelta(days=30), for one, or None for no limit.",
)
LIMIT = Rule(
    fits=_or_none(_is_limit),
    must_be="a whole number above zero or None",
    id="upkeep.E012",
    hint="None sets no limit; leave it out for the default.",
)

# A rule for each field of Conf, which a test holds.
RULES = {
    "TASKS_MODULE": Rule(
        fits=_is_module,
        must_be="the name of a module",
        id="upkeep.E003",
        hint="Write 'maintenance', for one: each app is searched for it.",
    ),
    "LEASE": DURATION,
    "STUCK_AFTER": DURATION_OR_NONE,
    "TIME_BUDGET": DURATION_OR_NONE,
    "CHUNK": DURATION,
    "CHECKPOINT_EVERY": DURATION,
    "STORAGE": Rule(
        fits=_or_none(_is_storage),
        must_be="an alias that STORAGES has, or None",
        id="upkeep.E004",
        hint="Add it to STORAGES, or leave it out for the private folder.",
    ),
    "MAX_UPLOAD": LIMIT,
    "MAX_COLUMNS": replace(LIMIT, id="upkeep.E013"),
    "MASKED": Rule(
        fits=_are_words,
        must_be="a list of words, none of them empty",
        id="upkeep.E005",
        hint="Write ['password', 'iban'], for one.",
    ),
    "METADATA": Rule(
        fits=_or_none(_takes_a_request),
        must_be="a callable of the request, its dotted path, or None",
        id="upkeep.E025",
        hint="Write metadata(request), which returns a dict that fits in JSON.",
    ),
    "LOG_LINES": replace(LIMIT, id="upkeep.E021"),
    "RETENTION": DURATION_OR_NONE,
    "MAIL_ON_ERROR": Rule(
        fits=lambda value: isinstance(value, bool),
        must_be="True or False",
        id="upkeep.E022",
        hint="The mail goes to the person who asked for the run.",
    ),
    "MAIL_ON_DEAD_LETTER": Rule(
        fits=lambda value: isinstance(value, bool),
        must_be="True or False",
        id="upkeep.E024",
        hint="The mail goes to the person who asked for the run, or to ADMINS.",
    ),
    "NEW_CAUSE_AFTER": DURATION,
    "BASE_URL": Rule(
        fits=_is_address,
        must_be="an address that begins with https:// or http://",
        id="upkeep.E023",
        hint="Write the address of the site, such as 'https://shop.example.com'.",
    ),
    "ERROR_REPORTER": Rule(
        fits=_or_none(_is_callable),
        must_be="a callable or the dotted path of one",
        id="upkeep.E020",
        hint="Write report(error, **context), and give it or its dotted path.",
    ),
}


@register("upkeep")
def check_settings(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check every key of `settings.UPKEEP`."""
    given = getattr(settings, "UPKEEP", {})
    if not isinstance(given, Mapping):
        return [
            Error(
                f"UPKEEP must be a dict, not {given!r}.",
                hint="Write UPKEEP = {'LEASE': timedelta(seconds=30)}, for one.",
                id="upkeep.E014",
            )
        ]
    return [*_unknown_keys(given), *_wrong_values(given)]


def _unknown_keys(given: Mapping[str, Any]) -> Iterator[CheckMessage]:
    known = [field.name for field in fields(Conf)]
    for name in given:
        if name not in known:
            yield Error(
                f"UPKEEP has no setting {name!r}.",
                hint=f"There are: {', '.join(known)}.",
                id="upkeep.E001",
            )


def _wrong_values(given: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name, rule in RULES.items():
        if name in given and not rule.fits(given[name]):
            yield Error(
                f"UPKEEP[{name!r}] must be {rule.must_be}, not {given[name]!r}.",
                hint=rule.hint,
                id=rule.id,
            )


@register("upkeep")
def check_tasks(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that each task has a label of its own and a queue that takes it."""
    lost = [
        Error(sentence, hint="A worker could not find it.", id="upkeep.E006")
        for sentence in registry.lost()
    ]
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
        *_data_elsewhere(),
    ]


def _unusable_methods() -> Iterator[CheckMessage]:
    for task in registry.tasks():
        for name, arguments, instead in _needed_methods(task):
            method = getattr(task, name)
            if method in (getattr(Task, name, None), getattr(Job, name)):
                problem = "is missing"
            elif not takes(method, arguments):
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
            yield Error(
                f"{task.label()}: {error}",
                hint="Its backend, queue and priority are attributes of the task.",
                id="upkeep.E008",
            )


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


def _data_elsewhere() -> Iterator[CheckMessage]:
    for task in registry.tasks():
        if task.atomic and task.database not in (None, home()):
            yield Info(
                f"{task.label()} works on the database {task.database!r}, and its "
                f"place is saved in {home()!r}: after a crash a chunk of items may be "
                "worked on again.",
                hint=(
                    "Each item is worked on at least once. See that a second time "
                    "does no harm, or keep Upkeep's tables in that database."
                ),
                id="upkeep.I001",
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


@register(Tags.database)
def check_engines(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django passes it
    databases: Collection[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that Upkeep's tables are where a rollback reaches them."""
    if home() not in (databases or ()) or connections[home()].vendor != "mysql":
        return []
    models = apps.get_app_config("upkeep").get_models()
    tables = {model._meta.db_table for model in models}
    return [*_made_without_transactions(tables), *_to_be_made_so(tables)]


def _made_without_transactions(tables: set[str]) -> Iterator[CheckMessage]:
    for table, engine in tables_without_transactions(home(), tables).items():
        yield Error(
            f"The table {table} is in {engine}, which has no transactions: items would "
            "be done twice, or not at all.",
            hint=f"Stop the workers, and say: ALTER TABLE {table} ENGINE = InnoDB",
            id="upkeep.E015",
        )


def _to_be_made_so(tables: set[str]) -> Iterator[CheckMessage]:
    connection = connections[home()]
    if connection.features.supports_transactions:
        return
    if missing := sorted(tables.difference(connection.introspection.table_names())):
        yield Error(
            f"DATABASES[{home()!r}] would make {missing[0]} in MyISAM, which has no "
            "transactions: items would be done twice, or not at all.",
            hint=(
                "Let its OPTIONS say: "
                "'init_command': 'SET default_storage_engine = InnoDB'."
            ),
            id="upkeep.E015",
        )


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
