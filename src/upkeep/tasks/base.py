"""What a developer writes: `Task`, a collection and what to do with one item of it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.decorators import classonlymethod

from upkeep import databases
from upkeep.conf import conf
from upkeep.exceptions import InvalidParameters, InvalidTask
from upkeep.port import port
from upkeep.tasks import masks, policies, registry, throttles
from upkeep.tasks import parameters as params
from upkeep.tasks.collections import collect
from upkeep.tasks.collections.base import Collection
from upkeep.tasks.collections.iterations import Iteration
from upkeep.tasks.collections.once import Once
from upkeep.tasks.creates import is_declaration
from upkeep.tasks.methods import is_generator, is_lazy
from upkeep.tasks.order import Order
from upkeep.tasks.reading import in_project_time

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.db.models import Model
    from django.forms import Field

    from upkeep.runs.models import Run
    from upkeep.tasks.creates import Creates
    from upkeep.tasks.policies import Rule
    from upkeep.tasks.throttles import Throttle


def _reserved_names() -> frozenset[str]:
    """Return the names that a parameter may not bear, those of a Job among them."""
    return frozenset(dir(Task)) | {"perform", "result", "values", "log_lines"}


def _masked_names(cls: type[Task]) -> tuple[str, ...]:
    """Return what a class masks, and its parents: a secret stays one below them."""
    return tuple(dict.fromkeys(chain.from_iterable(_lists_of_masked_names(cls))))


def _lists_of_masked_names(cls: type[Task]) -> list[Sequence[str]]:
    return [vars(each).get("masked", ()) for each in reversed(cls.__mro__)]


def _refuse_strange_attributes(cls: type[Task]) -> None:
    found = chain(
        _strange_values(cls),
        _strange_updates(cls),
        _strange_writes(cls),
        _strange_methods(cls),
        policies.refusals(cls),
        throttles.complaints(cls, reserved=_reserved_names()),
    )
    if complaint := next(found, None):
        raise InvalidTask(f"{cls.__name__}.{complaint}")


def _strange_values(cls: type[Task]) -> Iterator[str]:
    for name in ("chunk", "time_budget"):
        value = getattr(cls, name)
        if value is not None and not isinstance(value, timedelta):
            yield f"{name} must be a timedelta, or None."
    if cls.permission is not None and cls.permission.count(".") != 1:
        yield "permission must be like 'blog.change_post', or None."
    batch_size: object = cls.batch_size
    if not isinstance(batch_size, int) or batch_size < 1:
        yield "batch_size must be 1 or more."
    if cls.cursor_fields is not None and not _are_names(cls.cursor_fields):
        yield (
            "cursor_fields must be a tuple of field names, such as "
            "('created_at', '-pk'), or None."
        )
    if not all(_are_names(names) for names in _lists_of_masked_names(cls) if names):
        yield "masked must be a tuple of parameters, such as ('api_key',)."
    if cls.concurrency is not None and cls.concurrency < 1:
        yield "concurrency must be 1 or more, or None."


def _strange_updates(cls: type[Task]) -> Iterator[str]:
    if cls.updates and not _are_names(cls.updates):
        yield "updates must be a tuple of field names, such as ('slug',)."
    walked = {name.lstrip("-") for name in cls.cursor_fields or ()}
    if both := sorted(walked.intersection(cls.updates)):
        yield (
            f"updates names {both[0]!r}, by which the records are walked: those that "
            "are changed would come once more, or never. Walk by another field."
        )


def _strange_writes(cls: type[Task]) -> Iterator[str]:
    for name in cls.left_to_engine():
        if not cls.atomic:
            yield (
                f"{name} are saved in the transaction of their chunk, and atomic = "
                "False has none: leave one of the two out."
            )
        if issubclass(cls, Job):
            yield f"{name} is for tasks with items: save in perform() instead."
    if cls.creates is not None and not is_declaration(cls.creates):
        yield "creates must be a model, or Creates(model, …)."
    deletes: object = cls.deletes
    if not isinstance(deletes, bool):
        yield "deletes must be True or False."
    if cls.creates is not None and cls.deletes:
        yield (
            "creates and deletes both go by what process() returns: declare one of the "
            "two, and save() or delete() in process() what the other would be."
        )


def _strange_methods(cls: type[Task]) -> Iterator[str]:
    for name in ("process", "perform"):
        method = getattr(cls, name, None)
        if name == "process" and cls.creates is not None and is_generator(method):
            continue
        if is_lazy(method):
            yield (
                f"{name}() must be a plain method: called as one, an async function or "
                "one with a yield does nothing. Only a task that says what it creates "
                "may yield that."
            )


def _are_names(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(name, str) for name in value)
    )


class Task:
    """
    A collection, and what to do with one item of it.

    Subclass it in `<app>/maintenance.py`; class attributes that are Django form
    fields are its parameters, and their cleaned values are attributes of `self`.
    """

    # How it is walked

    batch_size: ClassVar[int] = 1000
    """The most items that one query fetches."""

    atomic: ClassVar[bool] = True
    """
    Whether a chunk of items and the place reached are one transaction.

    Say False where `process` has effects outside the database: then every item is
    worked on at least once, and after a crash up to a second of them again. In an
    atomic task, too, `process` of a good item is called again when its chunk is
    rolled back because a neighbour failed.
    """

    cursor_fields: ClassVar[Sequence[str] | None] = None
    """
    The columns that order the walk of a QuerySet, such as `("created_at", "-pk")`.

    None: the primary key, which is also appended where it is missing. They should be
    the columns of one index, and `process` must not change them.
    """

    bounded: ClassVar[bool] = False
    """
    Whether the walk of a QuerySet ends where it ended when the run started.

    False: rows that come behind the last one meanwhile are walked as well. Of several
    `cursor_fields` the first one decides.
    """

    chunk: ClassVar[timedelta | None] = None
    """The work of one transaction; None: `UPKEEP["CHUNK"]`."""

    database: ClassVar[str | None] = None
    """The alias of the data's database; None: the one of Upkeep's own tables."""

    time_budget: ClassVar[timedelta | None] = None
    """How long a run keeps a worker at a time; None: `UPKEEP["TIME_BUDGET"]`."""

    updates: ClassVar[Sequence[str]] = ()
    """
    The fields that `process` changes and leaves to the engine to save.

    A page's changed rows are written with one statement, each only if nobody else has
    changed what was loaded of it; what somebody has is read and processed again. The
    methods save() and the signals of the model are not called.
    """

    creates: ClassVar[type[Model] | Creates | None] = None
    """
    The model whose new objects `process` returns or yields, for the engine to insert.

    They are inserted many at a time; `Creates` says more of them. The methods save()
    and the signals of the model are not called.
    """

    deletes: ClassVar[bool] = False
    """
    Whether the engine deletes the records for which `process` returns True.

    A page's are deleted with one statement, each only if nobody else has changed what
    was loaded of it; what somebody has is read and processed again. Refused for models
    of which delete() would do more, by relations or signals.
    """

    throttles: ClassVar[Sequence[Throttle]] = ()
    """
    Objects that let a run wait, asked beside the methods under `@throttle()`.

    What a subclass lists is added to what its parents list, and asked before it.
    """

    # How it is queued

    backend: ClassVar[str] = "default"
    queue: ClassVar[str] = "default"
    priority: ClassVar[int] = 0

    on_error: ClassVar[Sequence[Rule]] = []
    """
    What becomes of an item that fails, an ordered list of rules; the first decides.

    Rules of a subclass come before those of its parents. Where none fits, the run stops
    as errored.
    """

    concurrency: ClassVar[int | None] = 1
    """
    How many runs may be active at once.

    1: one with the same parameters; n: n whatever their parameters; None: no limit.
    """

    # How it is known

    app_label: ClassVar[str | None] = None
    """The first half of the label; None: the app that holds the class."""

    aliases: ClassVar[tuple[str, ...]] = ()
    """
    Labels that the task had before; runs that bear them go on with this class.

    They are those of one class, and no subclass inherits them.
    """

    abstract: ClassVar[bool] = False
    """True for a class that is only there to be subclassed; not inherited."""

    masked: ClassVar[tuple[str, ...]] = ()
    """
    Parameters that are shown as [FILTERED] everywhere outside the task.

    Those of a subclass come on top of its parents'.
    """

    permission: ClassVar[str | None] = None
    """
    A permission, `app_label.codename`, that one must have beside those of Upkeep to
    see the task on a page, to start it, and to steer its runs.
    """

    # Django's templates would otherwise make a task of every class they meet.
    do_not_call_in_templates = True

    fields: ClassVar[dict[str, Field]] = {}
    """The parameters, by name and in the order of declaration."""

    run: Run | None = None
    """The run that is being worked on; None outside of one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.abstract = cls.__dict__.get("abstract", False)
        cls.aliases = cls.__dict__.get("aliases", ())
        cls.fields = params.collect(cls, reserved=_reserved_names())
        _refuse_strange_attributes(cls)
        if (masked := _masked_names(cls)) != cls.masked:
            cls.masked = masked
        registry.register(cls)

    def __init__(self, **given: Any) -> None:
        owner = type(self).__name__
        self.become(params.clean(self.fields, given, owner=owner, masked=self.masked))
        try:
            with in_project_time():
                self.clean()
        except ValidationError as error:
            sentences = params.without(self.secrets, _sentences(error))
            # Its own sentences may tell what is masked.
            raise InvalidParameters(sentences) from (None if self.secrets else error)

    @classmethod
    def restore(cls, stored: Mapping[str, Any], *, run: Run | None = None) -> Self:
        """
        Make the task of a run from its stored parameters, which are not cleaned again.

        Raises VanishedReference where a record or file is gone, InvalidParameters
        where the class no longer takes what was stored.
        """
        task = cls.__new__(cls)
        task.become(params.load(cls.fields, stored, cls.masked))
        task.run = run
        return task

    def become(self, values: dict[str, Any]) -> None:
        """Take the values of the parameters as attributes."""
        self.values = values
        self.log_lines: list[str] = []
        for name, value in values.items():
            setattr(self, name, value)

    # What a task says of itself

    @classmethod
    def label(cls) -> str:
        """Return `app_label.ClassName`, by which the task is known everywhere."""
        return f"{cls.app_label or _app_label_of(cls)}.{cls.__name__}"

    @classmethod
    def description(cls) -> str:
        """Return the docstring, for people."""
        inherited = {parent.__doc__ for parent in (Task, Job)}
        return "" if cls.__doc__ in inherited else inspect.cleandoc(cls.__doc__ or "")

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the description."""
        return cls.description().partition("\n")[0]

    # What a developer overrides

    def collection(self) -> Any:
        """Return what to walk: a QuerySet, a sequence, or a file parameter."""
        raise InvalidTask(f"{type(self).__name__} must define collection().")

    def process(self, item: Any) -> Any:
        """Do the work for one item of the collection."""
        raise InvalidTask(f"{type(self).__name__} must define process(item).")

    def iterate(self, cursor: Any) -> Iterable[tuple[Any, Any]]:
        """
        Yield pairs of an item and its cursor, beginning behind the cursor given.

        Written instead of collection(), for what that cannot return. None is the
        beginning; any other cursor comes back as it was yielded: text, numbers, dates,
        or lists and dicts of these.
        """
        raise InvalidTask(f"{type(self).__name__} must define iterate(cursor).")

    def count(self) -> int | None:
        """Return the number of items, an Estimate of it, or None if it is not known."""
        return self.walk().count()

    def clean(self) -> None:
        """Raise ValidationError where the cleaned parameters do not fit together."""

    # What a developer overrides to hear of a run; called when the move is committed,
    # by the process that made it, and again by another if that one died meanwhile

    def after_start(self) -> None:
        """Hear that a worker has taken the run up for the first time."""

    def after_pause(self) -> None:
        """Hear that the run has stopped because a person wanted a pause."""

    def after_interrupt(self) -> None:
        """Hear that the run has stopped and will go on by itself."""

    def after_cancel(self) -> None:
        """Hear that a person has ended the run."""

    def after_complete(self) -> None:
        """Hear that the run has come to the end of its collection."""

    def after_discard(self) -> None:
        """Hear that a rule of the task has ended the run."""

    def after_error(self, error: BaseException | None) -> None:
        """
        Hear that an error has stopped the run.

        None is given where the worker died before it could tell; `self.run` knows
        `error_class`, `error_message` and `error_at` then as well.
        """

    def notify(self, error: BaseException | None) -> None:
        """
        Tell the person who asked for the run that an error has stopped it.

        By default that is the mail of `UPKEEP["MAIL_ON_ERROR"]`; override it to tell
        them in another way, or in both by `super().notify(error)`.
        """
        if self.run is not None:
            port.mail_of_error(self.run)

    # What a task can use

    def log(self, line: str) -> None:
        """
        Add a line to the log of the run; it is kept if its chunk is.

        Of one run no more are kept than `UPKEEP["LOG_LINES"]`.
        """
        logged = (self.run.logged if self.run else 0) + len(self.log_lines)
        if conf.LOG_LINES is None or logged < conf.LOG_LINES:
            text = masks.mask_text(str(line), self.secrets)
            self.log_lines.append(databases.storable(text))
        elif logged == conf.LOG_LINES:  # The mark makes it one more.
            self.log_lines.append(
                f"[The log is full: UPKEEP['LOG_LINES'] is {conf.LOG_LINES:,}. Lines "
                "from here on are dropped.]"
            )

    @property
    def metadata(self) -> dict[str, Any]:
        """What the one who started the run attached to it."""
        return self.run.metadata if self.run else {}

    # What the engine uses

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The texts that must not be shown outside the task."""
        return masks.secrets_of(self.values, self.masked)

    @classmethod
    def left_to_engine(cls) -> list[str]:
        """Return the attributes by which a task leaves what it writes to the engine."""
        return [
            name for name in ("updates", "creates", "deletes") if getattr(cls, name)
        ]

    @classmethod
    def has_iterate(cls) -> bool:
        """Tell whether the task walks by its own iterate(), and not by collection()."""
        return cls.iterate is not Task.iterate

    def walk(self) -> Collection[Any]:
        """Return the collection as the engine walks it."""
        alias = self.database or databases.home()
        if self.has_iterate():
            return Iteration(self.iterate, alias)
        return collect(
            self.collection(),
            alias=alias,
            cursor_fields=self.cursor_fields,
            bounded=self.bounded,
            in_transaction=self.atomic,
        )

    # How a run is started; on the class alone, for an instance has parameters already

    @classonlymethod
    def using(
        cls,
        *,
        queue: str | None = None,
        priority: int | None = None,
        backend: str | None = None,
        run_after: datetime | None = None,
        by: AbstractBaseUser | str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Order:
        """Say how a run shall be queued, before `enqueue` or `run_now`."""
        return Order(
            task=cls,
            queue=cls.queue if queue is None else queue,
            priority=cls.priority if priority is None else priority,
            backend=cls.backend if backend is None else backend,
            run_after=run_after,
            by=by,
            metadata=dict(metadata or {}),
        )

    @classonlymethod
    def enqueue(cls, **given: Any) -> Run:
        """
        Write the row of a run, for a worker to find.

        Raises InvalidParameters, QueueRefused or AlreadyActive; no row exists then.
        """
        return cls.using().enqueue(**given)

    @classonlymethod
    def run_now(cls, **given: Any) -> Run:
        """
        Run here, in this process, to the end; the run returned says how it ended.

        Raises InvalidParameters or AlreadyActive; no row exists then.
        """
        return cls.using().run_now(**given)


class Job(Task):
    """A task of one step: `perform()` instead of a collection."""

    # A report of ten minutes must not be one transaction.
    atomic = False
    abstract = True

    result: Any = None
    """What `perform` returned."""

    def perform(self) -> Any:
        """Do the work; what it returns is the run's result and must fit in JSON."""
        raise InvalidTask(f"{type(self).__name__} must define perform().")

    def collection(self) -> Once:
        return Once()

    def process(self, item: None) -> None:
        self.result = self.perform()
        try:
            json.dumps(self.result, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidTask(
                f"{type(self).__name__}.perform() returned what does not fit in JSON: "
                f"{error}. Return numbers, strings, lists and dicts."
            ) from error


def _app_label_of(cls: type[Task]) -> str:
    label = registry.app_label_of(cls.__module__)
    if label is None:
        raise InvalidTask(
            f"{cls.__module__}.{cls.__qualname__} lies in no installed app: move it to "
            f"<app>/{conf.TASKS_MODULE}.py, or set its app_label."
        )
    return label


def _sentences(error: ValidationError) -> dict[str, list[str]]:
    if hasattr(error, "error_dict"):
        return error.message_dict
    return {NON_FIELD_ERRORS: error.messages}
