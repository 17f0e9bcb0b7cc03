"""A task of which it is known beforehand what becomes of each of its items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar

from django.db import IntegrityError, transaction

from tests.testapp.clock import clock
from tests.testapp.models import Effect, Item
from upkeep import (
    Batches,
    Discard,
    Handle,
    Job,
    Quarantine,
    Report,
    Retry,
    Skip,
    Task,
    parameter,
    throttle,
)
from upkeep.execution.interruption import Interruption
from upkeep.forms import CSVField
from upkeep.runs.models import Run
from upkeep.tasks.collections.files import CSVFile
from upkeep.testing import upload


class Fate(StrEnum):
    """What happens when an item is executed."""

    GOOD = "good"
    HICCUP = "fails once"
    HICCUPS = "fails twice"
    EARLY = "fails once, and is not to be tried again before a minute has passed"
    HOPELESS = "fails as often as it is tried"
    POISON = "fails, and is kept"
    FAULTY = "fails, and is reported"
    USELESS = "fails, and is passed over"
    SKIPS = "wants to be passed over"
    CROOKED = "fails, and is handled"
    BROKEN = "fails, and no rule is for it"
    SWALLOWS = "hides an error of the database"
    REGRETS = "fails when it is committed"


class Hiccup(Exception):
    """An error that passes."""


class Early(Exception):
    """An error that passes in a minute."""


class Hopeless(Exception):
    """An error that was thought to pass."""


class Poison(Exception):
    """An error of an item that is to be kept."""


class Faulty(Exception):
    """An error of which one is to hear."""


class Useless(Exception):
    """An error of an item that nobody wants."""


class Crooked(Exception):
    """An error that can be handled."""


class Broken(Exception):
    """An error for which there is no rule."""


class Regret(Exception):
    """An error of a callback of on_commit()."""


# From the fate, the error of an execution, and how many of the executions raise it.
ALWAYS = 1_000
ERRORS: dict[Fate, tuple[type[Exception], int]] = {
    Fate.HICCUP: (Hiccup, 1),
    Fate.HICCUPS: (Hiccup, 2),
    Fate.EARLY: (Early, 1),
    Fate.HOPELESS: (Hopeless, ALWAYS),
    Fate.POISON: (Poison, ALWAYS),
    Fate.FAULTY: (Faulty, ALWAYS),
    Fate.USELESS: (Useless, ALWAYS),
    Fate.CROOKED: (Crooked, ALWAYS),
    Fate.BROKEN: (Broken, ALWAYS),
}

FAILED = {Fate.HOPELESS, Fate.POISON, Fate.FAULTY}
SKIPPED = {Fate.USELESS, Fate.SKIPS}
KEPT = {Fate.HOPELESS, Fate.POISON}
ENDS_JOB = KEPT | SKIPPED


class Kind(StrEnum):
    """What is walked."""

    RECORDS = "records"
    BATCHES = "batches"
    SEQUENCE = "sequence"
    FILE = "file"
    JOB = "job"


@dataclass(kw_only=True)
class Plan:
    """What a task is like, before anything happens to it."""

    kind: Kind
    fates: Sequence[Fate]
    atomic: bool
    page: int = 1000
    chunk: int = 3
    """How many executions fill a chunk."""

    patience: timedelta = timedelta(minutes=1)
    """How long a run waits that is held, before it asks again."""

    budget: timedelta | None = None
    concurrency: int | None = 1


class Machined(Task):
    """What the tasks below have in common."""

    world: ClassVar[World]
    app_label = "testapp"
    abstract = True
    on_error = [
        Retry(Hiccup, Hopeless, attempts=3, wait=timedelta(0)),
        Retry(Early, attempts=2, wait=timedelta(minutes=1), jitter=0),
        Quarantine(Poison, Hopeless),
        Report(Faulty),
        Discard(Useless),
        Handle(Crooked, "straighten"),
    ]

    @throttle(backoff=lambda task: task.world.plan.patience)
    def gate(self) -> str:
        """Hold the run while somebody wants that."""
        return self.world.hold()

    def straighten(self, error: Exception, *items: Any) -> None:
        """See to an item that failed."""
        Effect.objects.create(item=self.world.index_of(*items))

    def after_start(self) -> None:
        self.world.hooks["after_start"] += 1

    def after_pause(self) -> None:
        self.world.hooks["after_pause"] += 1

    def after_interrupt(self) -> None:
        self.world.hooks["after_interrupt"] += 1

    def after_cancel(self) -> None:
        self.world.hooks["after_cancel"] += 1

    def after_complete(self) -> None:
        self.world.hooks["after_complete"] += 1

    def after_discard(self) -> None:
        self.world.hooks["after_discard"] += 1

    def after_error(self, error: BaseException | None) -> None:
        self.world.hooks["after_error"] += 1


class MachinedTask(Machined):
    abstract = True

    def process(self, item: Any) -> None:
        index = self.world.index_of(item)
        self.world.execute(index)
        self.log(f"Item {index}")


class Records(MachinedTask):
    abstract = True

    def collection(self) -> Any:
        return Item.objects.all()


class InBatches(MachinedTask):
    abstract = True

    def collection(self) -> Any:
        return Batches(Item.objects.all(), size=BATCH)


class Numbered(MachinedTask):
    abstract = True

    def collection(self) -> Any:
        return range(len(self.world.fates))


class Rows(MachinedTask):
    abstract = True
    csv_file: CSVFile = parameter(CSVField())

    def collection(self) -> Any:
        return self.csv_file


class Step(Machined, Job):
    abstract = True

    def perform(self) -> dict[str, int]:
        self.world.execute(0)
        self.log("Item 0")
        return {"executions": self.world.executions[0]}


BATCH = 2
BASES: dict[Kind, type[Task]] = {
    Kind.RECORDS: Records,
    Kind.BATCHES: InBatches,
    Kind.SEQUENCE: Numbered,
    Kind.FILE: Rows,
    Kind.JOB: Step,
}


@dataclass
class World:
    """A task, its items, and all that was ever done with them."""

    plan: Plan
    is_shut: bool = False
    executions: Counter[int] = field(default_factory=Counter)
    hooks: Counter[str] = field(default_factory=Counter)
    interruption: Interruption = field(default_factory=Interruption)
    stop_after: int | None = None

    def __post_init__(self) -> None:
        self.fates = list(self.plan.fates)
        self.is_job = self.plan.kind is Kind.JOB
        self.task = self._make_task()

    def _make_task(self) -> type[Task]:
        attributes: dict[str, Any] = {
            "world": self,
            "atomic": self.plan.atomic,
            "batch_size": self.plan.page,
            "time_budget": self.plan.budget,
            "concurrency": self.plan.concurrency,
        }
        return type("Driven", (BASES[self.plan.kind],), attributes)

    def furnish(self) -> Run:
        """Write the rows that are walked, and enqueue the run."""
        each = {Kind.RECORDS: 1, Kind.BATCHES: BATCH}.get(self.plan.kind, 0)
        count = len(self.fates) * each
        Item.objects.bulk_create(Item(pk=pk) for pk in range(1, count + 1))
        return self.enqueue()

    def enqueue(self) -> Run:
        """Start a run of the task, always with the same parameters."""
        if self.plan.kind is not Kind.FILE:
            return self.task.enqueue()
        rows = "".join(f"{index}\n" for index in range(len(self.fates)))
        return self.task.enqueue(csv_file=upload(f"n\n{rows}", name="rows.csv"))

    # What happens

    def index_of(self, item: Any = None) -> int:
        """Return which of the items it is."""
        match self.plan.kind:
            case Kind.RECORDS:
                return int(item.pk - 1)
            case Kind.BATCHES:
                return int((item.first().pk - 1) // BATCH)
            case Kind.SEQUENCE:
                return int(item)
            case Kind.FILE:
                return int(item["n"])
            case Kind.JOB:
                return 0

    def hold(self) -> str:
        """Say why the run must wait, if it must."""
        if not self.is_shut:
            return ""
        clock.tick()  # Else one that waits here would ask for a long time.
        return "The gate is shut."

    def execute(self, index: int) -> None:
        """Do with an item what its fate says."""
        self._note_execution(index)
        fate = self.fates[index]
        if fate is Fate.SKIPS:
            raise Skip("Nobody needs it.")
        effect = Effect.objects.create(item=index)
        error, times = ERRORS.get(fate, (Exception, 0))
        if self.executions[index] <= times:
            raise error(f"{index} {fate}")
        if fate is Fate.SWALLOWS:
            swallow_error(effect)
        if fate is Fate.REGRETS:
            transaction.on_commit(regret)

    def _note_execution(self, index: int) -> None:
        self.executions[index] += 1
        if self.executions.total() % self.plan.chunk == 0:
            clock.tick()
        if self.stop_after is not None:
            self.stop_after -= 1
            if self.stop_after <= 0:
                self.interruption.ask_to_stop("The machine told its worker to stop.")

    def mend(self, index: int) -> None:
        """Let an item be good from now on."""
        self.fates[index] = Fate.GOOD

    # What is to be found

    def outcome(self, index: int) -> str:
        """Return the column of the run that counts an item; "" where none may."""
        fate = self.fates[index]
        if fate in FAILED:
            return "failed"
        if fate in SKIPPED:
            return "skipped"
        return "" if self.is_stopper(index) else "done"

    def is_stopper(self, index: int) -> bool:
        """Tell whether no run comes past an item before it is mended."""
        match self.fates[index]:
            case Fate.BROKEN:
                return True
            case Fate.SWALLOWS:
                return self.plan.atomic
            case Fate.REGRETS:
                return not self.plan.atomic
        return False

    def counts(self, place: int) -> Counter[str]:
        """Return what a run counts that has so many items behind it."""
        return Counter(self.outcome(index) for index in range(place))

    def done(self, place: int) -> list[int]:
        """Return which of so many items are done."""
        return [index for index in range(place) if self.outcome(index) == "done"]

    def kept(self, place: int) -> list[int]:
        """Return of which of so many items there are dead letters, as often."""
        # Of a batch each record is found that fails by itself, if that can be undone.
        each = BATCH if self.plan.kind is Kind.BATCHES and self.plan.atomic else 1
        kept = [index for index in range(place) if self.fates[index] in KEPT]
        return sorted(kept * each)


def swallow_error(effect: Effect) -> None:
    """Write a row a second time, and go on as if nothing were wrong."""
    try:
        Effect(pk=effect.pk, item=effect.item).save(force_insert=True)
    except IntegrityError:
        return


def regret() -> None:
    """Fail behind the commit."""
    raise Regret("It cannot be helped.")
