"""All tasks at a glance: those under way, the new ones, and those that have run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Q, Subquery

from upkeep.databases import home
from upkeep.runs.models import Run
from upkeep.tasks import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from upkeep.tasks.base import Task

GROUPS = ("active", "new", "completed")

# So many conditions one query may have: SQLite's parser goes no deeper than 1,000.
AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A task, and the run that tells most of it."""

    label: str
    task: type[Task] | None
    """None where runs are active, but their class is gone."""

    run: Run | None
    """The latest of the active runs, else the latest of all."""

    active: int
    """How many runs are active."""

    asks_for: frozenset[str] = frozenset()
    """The permissions that one needs beside those of Upkeep."""

    @property
    def group(self) -> str:
        """One of GROUPS."""
        if self.run is None:
            return "new"
        return "active" if self.active else "completed"

    @property
    def others(self) -> int:
        """How many runs are active beside `run`."""
        return max(self.active - 1, 0)


def overview(tasks: Sequence[type[Task]] | None = None) -> dict[str, list[Entry]]:
    """
    Return an entry for each task by group; where None are named, all there are.

    Those with runs come the latest first, the new ones by name. Costs a query or two
    for every hundred tasks, however many runs there are.
    """
    counts = _active_runs()
    entries = list(_entries(registry.tasks() if tasks is None else tasks, counts))
    if tasks is None:
        entries += _gone(counts)
    entries.sort(key=lambda entry: entry.run.pk if entry.run else 0, reverse=True)
    return {
        group: [entry for entry in entries if entry.group == group] for group in GROUPS
    }


@dataclass(slots=True)
class _Active:
    count: int = 0
    latest: int = 0
    permissions: set[str] = field(default_factory=set)

    def add(self, count: int, latest: int, permission: str) -> None:
        """Take some more runs into account."""
        self.count += count
        self.latest = max(self.latest, latest)
        self.permissions |= {permission} - {""}


def _active_runs() -> dict[str, _Active]:
    """Count the active runs by label."""
    runs = Run.objects.using(home()).active().order_by().values("task", "permission")
    found: dict[str, _Active] = {}
    for row in runs.annotate(count=Count("pk"), latest=Max("pk")):
        its_runs = found.setdefault(row["task"], _Active())
        its_runs.add(row["count"], row["latest"], row["permission"])
    return found


def _entries(
    tasks: Sequence[type[Task]], active: dict[str, _Active]
) -> Iterator[Entry]:
    labels = {label for task in tasks for label in _labels(task)}
    ids = {each.latest for label, each in active.items() if label in labels}
    runs = _latest_runs(sorted(labels - active.keys()), ids)
    for task in tasks:
        known_as = _labels(task)
        its_active = [active[label] for label in known_as if label in active]
        own = [runs[label] for label in known_as if label in runs]
        if its_active:
            own = [run for run in own if run.is_active]
        yield Entry(
            label=task.label(),
            task=task,
            run=max(own, key=lambda run: run.pk, default=None),
            active=sum(each.count for each in its_active),
            asks_for=frozenset(filter(None, [task.permission])),
        )


def _gone(active: dict[str, _Active]) -> Iterator[Entry]:
    """Yield what is under way without a class: somebody should end it."""
    lost = {
        label: each for label, each in active.items() if registry.find(label) is None
    }
    runs = _latest_runs([], {each.latest for each in lost.values()})
    for label, run in runs.items():
        yield Entry(
            label=label,
            task=None,
            run=run,
            active=lost[label].count,
            asks_for=frozenset(lost[label].permissions),
        )


def _labels(task: type[Task]) -> list[str]:
    return [task.label(), *task.aliases]


def _latest_runs(labels: Sequence[str], ids: set[int]) -> dict[str, Run]:
    """Return the runs with these ids, and the latest run of each of these labels."""
    runs: dict[str, Run] = {}
    conditions = [_is_latest(label) for label in labels]
    if ids:
        conditions.append(Q(pk__in=ids))
    for start in range(0, len(conditions), AT_ONCE):
        some = reduce(or_, conditions[start : start + AT_ONCE])
        found = Run.objects.using(home()).filter(some).select_related("requested_by")
        runs |= {run.task: run for run in found}
    return runs


def _is_latest(label: str) -> Q:
    """Name the last run of a label by one look at the index, not at all its runs."""
    last = Run.objects.using(home()).of(label).order_by("-pk")
    return Q(pk=Subquery(last.values("pk")[:1]))
