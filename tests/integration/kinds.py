"""The kinds of runs that come to grief, and what must be true of each in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.files.base import ContentFile

from tests.integration.harness import (
    Tripwire,
    look_after,
    rescue,
    sweep_and_work,
    tell_what_is_left,
    work_off_queue,
)
from tests.testapp import maintenance
from tests.testapp.ledger import ledger
from tests.testapp.models import Call, Effect, Item
from upkeep import Job, Task
from upkeep.models import DeadLetter, Event, Run
from upkeep.runs.status import Status

ALL = frozenset(range(1, 31))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of run: how it begins, and what it has to have done, however it went."""

    name: str
    task: type[Task]
    begin: Callable[[], Run]
    step: int = 1
    """Where not every point is tried, every so many-th is."""

    is_looked_after: bool = False
    """Whether time has to pass, and a person to resume it, until it is over."""

    status: Status = Status.SUCCEEDED
    done: int = len(ALL)
    failed: int = 0
    skipped: int = 0
    effects: frozenset[int] = ALL
    """The items that have their effect, once in an atomic task."""

    at_most: int | None = None
    """How often an item has its effect in a task that is not atomic."""

    letters: Mapping[str, str] = field(default_factory=dict)
    """The dead letters, with the name of each in the ledger of what was begun."""

    tries: Mapping[str, int] = field(default_factory=dict)
    """How often at least items were begun before they were given up, or went well."""

    calls: Mapping[str, int] = field(default_factory=dict)
    """The hooks, with how often each is called where nothing comes to grief."""

    def work(self, tripwire: Tripwire) -> None:
        """Be the worker of such a run until it is over, or meets its fate."""
        tripwire.install()
        if self.is_looked_after:
            look_after(work_off_queue, tripwire)
        else:
            work_off_queue()

    def rescue(self) -> None:
        """Bring such a run to its end, and see that everybody is told."""
        if self.is_looked_after:
            look_after(sweep_and_work)
        else:
            rescue()
        tell_what_is_left()

    def faults(self, run: Run) -> list[str]:
        """Return what is wrong with a run that is over."""
        run.refresh_from_db()
        return [
            *self._faults_of_row(run),
            *self._faults_of_letters(run),
            *self._faults_of_effects(),
            *self._faults_of_hooks(),
        ]

    def faults_meanwhile(self, run: Run) -> list[str]:
        """Return what is wrong with a run whose worker has just died."""
        run.refresh_from_db()
        most = max(ledger.counts().values(), default=0)
        if run.item_attempts > most:
            return [f"{run.item_attempts} attempts count of {most}"]
        return []

    def faults_unbroken(self, run: Run) -> list[str]:
        """Return what is wrong with a run that nothing came in the way of."""
        calls = dict(Counter(Call.objects.values_list("name", flat=True)))
        found = [] if calls == self.calls else [f"the hooks were called {calls}"]
        return [*found, *self.faults(run)]

    def _faults_of_row(self, run: Run) -> Iterator[str]:
        if run.status != self.status:
            yield f"the run is {run.status}: {run.reason}"
        if (counts := (run.done, run.failed, run.skipped)) != (
            *(self.done, self.failed, self.skipped),
        ):
            yield f"the run counts {counts}"
        if run.item_attempts or run.error_class:
            yield f"left behind: {run.item_attempts} attempts, {run.error_class!r}"
        ends = run.events.filter(kind=Event.Kind.MOVE, status=self.status).count()
        if ends != 1:
            yield f"the run has come to its end {ends} times"
        if issubclass(self.task, Job) and self.done and run.result != {"items": 4}:
            yield f"the result is {run.result}"

    def _faults_of_letters(self, run: Run) -> Iterator[str]:
        begun = ledger.counts()
        letters = list(DeadLetter.objects.all())
        names = sorted(letter.item for letter in letters)
        if names != sorted(self.letters):
            yield f"the dead letters are {names}"
        for letter in letters:
            times = begun[self.letters.get(letter.item, letter.item)]
            if letter.run_id != run.pk or not 1 <= letter.attempts <= times:
                yield f"{letter.item!r} has {letter.attempts} attempts of {times}"
        for name, times in self.tries.items():
            if begun[name] < times:
                yield f"{name!r} was begun {begun[name]} times, and not {times}"

    def _faults_of_effects(self) -> Iterator[str]:
        ledgered = Counter(Effect.objects.values_list("item", flat=True))
        counted = Counter(dict(Item.objects.filter(n__gt=0).values_list("pk", "n")))
        for which, effects in ("effects", ledgered), ("items", counted):
            if missing := self.effects - set(effects):
                yield f"the {which} lack {sorted(missing)}"
            if strange := self._too_much(effects):
                yield f"the {which} have too much: {strange}"

    def _too_much(self, effects: Counter[int]) -> dict[int, int]:
        if self.task.atomic:
            return {k: n for k, n in effects.items() if n > 1 or k not in self.effects}
        if self.at_most is None:
            return {}
        return {k: n for k, n in effects.items() if n > self.at_most}

    def _faults_of_hooks(self) -> Iterator[str]:
        called = set(Call.objects.values_list("name", flat=True))
        if missing := set(self.calls) - called:
            yield f"hooks that were not called: {sorted(missing)}"
        if untold := Event.objects.filter(announce_at__isnull=False).count():
            yield f"{untold} moves that nobody was told of"


def _file() -> Run:
    names = ["seven" if key == 7 else str(key) for key in sorted(ALL)]
    text = "\n".join(["name", *names]) + "\n"
    file = ContentFile(text.encode(), name="items.csv")
    return maintenance.CountUpByFile.enqueue(csv_file=file)


def _both(kind: Kind, outside: type[Task], **differences: Any) -> Iterator[Kind]:
    """Yield a kind, and the same of a task without transactions."""
    yield kind
    name = f"{kind.name}, not atomic"
    yield replace(kind, name=name, task=outside, begin=outside.enqueue, **differences)


ENDED_WELL = {"after_start": 1, "after_complete": 1}
TROUBLED = ENDED_WELL | {"after_pause": 1, "after_error": 1}

KINDS = [
    *_both(
        Kind(
            name="all go well",
            task=maintenance.CountUpInChunks,
            begin=maintenance.CountUpInChunks.enqueue,
        ),
        maintenance.CountUpInChunksOutside,
        at_most=2,
        step=17,
    ),
    *_both(
        Kind(
            name="some fail",
            task=maintenance.CountUpWithRules,
            begin=maintenance.CountUpWithRules.enqueue,
            step=37,
            done=24,
            failed=4,
            skipped=2,
            effects=ALL - {5, 6, 13, 17, 20, 30},
            letters={f"testapp.Item {key}": str(key) for key in (5, 6, 30)},
            tries={"13": 3, "23": 3},
            calls=ENDED_WELL,
        ),
        maintenance.CountUpWithRulesOutside,
    ),
    *_both(
        Kind(
            name="long waits and people",
            task=maintenance.CountUpThroughTrouble,
            begin=maintenance.CountUpThroughTrouble.enqueue,
            is_looked_after=True,
            step=71,
            done=29,
            failed=1,
            effects=ALL - {5},
            letters={"testapp.Item 5": "5"},
            tries={"5": 3, "18": 3},
            calls=TROUBLED | {"after_interrupt": 2},
        ),
        maintenance.CountUpThroughTroubleOutside,
        calls=TROUBLED | {"after_interrupt": 4},
    ),
    *_both(
        Kind(
            name="batches with bad records",
            task=maintenance.CountUpInBatches,
            begin=maintenance.CountUpInBatches.enqueue,
            step=37,
            done=6,
            failed=2,
            effects=ALL - {6, 29},
            letters={f"testapp.Item {key}": str(key) for key in (6, 29)},
            tries={"7": 3, "18": 3},
            calls=ENDED_WELL,
        ),
        maintenance.CountUpInBatchesOutside,
    ),
    Kind(
        name="CSV, with a bad row",
        task=maintenance.CountUpByFile,
        begin=_file,
        step=37,
        done=29,
        failed=1,
        effects=ALL - {7},
        letters={"item 7": "seven"},
        calls=ENDED_WELL,
    ),
    *_both(
        Kind(
            name="a Job at its third attempt",
            task=maintenance.CountAllUpAtOnce,
            begin=maintenance.CountAllUpAtOnce.enqueue,
            step=17,
            done=1,
            effects=frozenset(range(1, 5)),
            tries={"": 3},
            calls=ENDED_WELL,
        ),
        maintenance.CountAllUp,
    ),
    Kind(
        name="a Job in vain, after a long wait",
        task=maintenance.CountAllUpInVain,
        begin=maintenance.CountAllUpInVain.enqueue,
        is_looked_after=True,
        step=17,
        status=Status.DISCARDED,
        done=0,
        failed=1,
        effects=frozenset(),
        letters={"": ""},
        tries={"": 2},
        calls={"after_start": 1, "after_interrupt": 1, "after_discard": 1},
    ),
]
