"""How long runs are kept: what is over for long goes, with all that belongs to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import CASCADE, PROTECT, RESTRICT, Count, Exists, OuterRef, Q

from upkeep.databases import home, in_short, now, writing
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.status import ENDED
from upkeep.runs.uploads import Upload
from upkeep.runs.words import counted
from upkeep.tasks import uploads

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger("upkeep")

T = TypeVar("T")

LOOKED_AT_AT_ONCE = 500  # runs
DELETED_AT_ONCE = 2_000  # rows of ours, so that no transaction is long


@dataclass(slots=True)
class Pruned:
    """How many went, or would go, and how many runs must stay for another's sake."""

    runs: int = 0
    events: int = 0
    files: int = 0
    kept: int = 0
    letters: int = 0  # of calls: those of items go with their runs

    def __iadd__(self, other: Pruned) -> Pruned:
        """Count what is more."""
        self.runs += other.runs
        self.events += other.events
        self.files += other.files
        self.kept += other.kept
        self.letters += other.letters
        return self

    @property
    def those_kept(self) -> str:
        """Say how many had to stay."""
        stay, it = ("stays", "it") if self.kept == 1 else ("stay", "them")
        return f"{counted(self.kept, 'old run')} {stay}: others refer to {it}."


def prune(
    older_than: timedelta, *, dry_run: bool = False, at_most: int | None = None
) -> Pruned:
    """
    Delete the runs that have been over for so long, errored ones too, and no others.

    And the dead letters of calls that were resolved or discarded so long ago; one that
    is open stays, for it is still owed.

    In short transactions, the oldest runs first; `at_most` stops after about so many.
    A run that must stay since something else refers to it is told of in the log. One
    whose dead letters are retried stays as long as the runs that retry them, and goes
    behind these.
    """
    pruned = Pruned()
    try:
        before = now() - older_than
    except OverflowError:
        return pruned  # Nothing is that old.
    seen: set[int] = set()  # Children, whose turn in the walk comes later.
    for some in _over_since(before):
        children, others = _families(some, before)
        for pks in (children, others):
            new = [pk for pk in pks if pk not in seen]
            pruned += _prune_some(new, before, dry_run=dry_run)
        seen.update(children)
        if at_most is not None and pruned.runs >= at_most:
            break
    for letters in _settled_since(before):
        pruned.letters += len(letters) if dry_run else _delete_letters(letters)
        if at_most is not None and pruned.letters >= at_most:
            break
    if pruned.kept:
        logger.warning(pruned.those_kept)
    return pruned


def _is_over(before: datetime) -> Q:
    return Q(status__in=sorted(ENDED), ended_at__lt=before)


def _is_free(before: datetime) -> Q:
    """Say that a run is over for long, and no other is left that is its child."""
    children = Run.objects.filter(parent=OuterRef("pk"))
    return _is_over(before) & Q(~Exists(children))


def _over_since(before: datetime) -> Iterator[list[int]]:
    """
    Yield the runs that were over by then, some at a time, the oldest first.

    Runs are read in the order in which they were made, until all of those read are
    younger: that needs no index, and what is to be deleted lies at the beginning.
    """
    runs = Run.objects.using(home()).order_by("pk")
    columns = ("pk", "status", "ended_at", "created_at")
    last = 0
    while some := list(
        runs.filter(pk__gt=last).values_list(*columns)[:LOOKED_AT_AT_ONCE]
    ):
        last = some[-1][0]
        yield [
            pk
            for pk, status, ended_at, _ in some
            if status in ENDED and ended_at is not None and ended_at < before
        ]
        if all(created_at >= before for *_, created_at in some):
            return


def _families(pks: Sequence[int], before: datetime) -> tuple[list[int], list[int]]:
    """
    Return the children of these runs, and those of the runs that may follow them.

    A run stays as long as one of its children, and is not deleted before these.
    """
    if not pks:
        return [], []
    children = Run.objects.using(home()).filter(parent__in=pks).order_by("pk")
    young = children.exclude(_is_over(before)).values_list("parent", flat=True)
    over = dict(children.filter(_is_over(before)).values_list("pk", "parent"))
    staying = {*young, *(over[pk] for pk in _referred_to(list(over)))}
    first = [pk for pk, parent in over.items() if parent not in staying]
    return first, [pk for pk in pks if pk not in staying.union(first)]


def _prune_some(pks: Sequence[int], before: datetime, *, dry_run: bool) -> Pruned:
    kept = _referred_to(pks)
    free = [pk for pk in pks if pk not in kept]
    pruned = Pruned(kept=len(kept))
    for batch in _batches(free) if free else ():
        pruned += _count(batch) if dry_run else _delete(batch, before)
    return pruned


# Dead letters of calls, which belong to no run


def _settled(before: datetime) -> QuerySet[DeadLetter]:
    letters = DeadLetter.objects.using(home()).filter(
        run__isnull=True,
        state__in=[DeadLetter.State.RESOLVED, DeadLetter.State.DISCARDED],
    )
    is_old = Q(settled_at__lt=before)
    return letters.filter(is_old | Q(settled_at__isnull=True, created_at__lt=before))


def _settled_since(before: datetime) -> Iterator[list[int]]:
    """Yield the letters that nobody has needed since then, some at a time."""
    letters, last = _settled(before).order_by("pk"), 0
    while some := list(
        letters.filter(pk__gt=last).values_list("pk", flat=True)[:LOOKED_AT_AT_ONCE]
    ):
        last = some[-1]
        yield some


def _delete_letters(pks: Sequence[int]) -> int:
    letters = DeadLetter.objects.using(home()).filter(pk__in=pks)
    return in_short(home(), lambda: letters.delete()[0])


# What belongs to a run, and what refers to it


def _related(*kinds: Any) -> list[Any]:
    return [
        relation
        for relation in Run._meta.related_objects
        if getattr(relation, "on_delete", None) in kinds
    ]


def _rows(relation: Any, pks: Sequence[int]) -> Any:
    """Return the rows that belong or refer to these runs."""
    rows = relation.related_model._base_manager.using(home()).order_by()
    return rows.filter(**{f"{relation.field.name}__in": pks})


def _referred_to(pks: Sequence[int]) -> set[int]:
    """Return the runs that a model of the project holds fast."""
    found: set[int] = set()
    if pks:
        for relation in _related(PROTECT, RESTRICT):
            found |= set(
                _rows(relation, pks).values_list(relation.field.attname, flat=True)
            )
    return found


def _parts() -> list[Any]:
    """Return our own tables of what belongs to runs."""
    return [
        relation
        for relation in _related(CASCADE)
        if relation.related_model._meta.app_label == Run._meta.app_label
    ]


def _batches(pks: Sequence[int]) -> Iterator[list[int]]:
    """Share the runs out, so that no transaction deletes too many rows of ours."""
    rows = dict.fromkeys(pks, 1)
    for relation in _parts() if pks else ():
        counts = _rows(relation, pks).values_list(relation.field.attname)
        for pk, count in counts.annotate(Count("pk")):
            rows[pk] += count
    batch: list[int] = []
    size = 0
    for pk, count in rows.items():
        if batch and size + count > DELETED_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(pk)
        size += count
    if batch:
        yield batch


def _count(pks: Sequence[int]) -> Pruned:
    return Pruned(
        runs=len(pks),
        events=Event.objects.using(home()).filter(run__in=pks).count(),
        files=Upload.objects.using(home()).filter(run__in=pks).count(),
    )


# Deleting


def _delete(pks: Sequence[int], before: datetime) -> Pruned:
    """Delete runs, and leave those which somebody takes up or refers to meanwhile."""
    pruned = Pruned()
    try:
        while thinned := in_short(home(), partial(_thin_out, pks, before)):
            pruned.events += thinned
        pruned += in_short(home(), partial(_delete_at_once, pks, before))
    except IntegrityError as error:  # PROTECT among them, if it came but now.
        if len(pks) > 1:
            middle = len(pks) // 2
            pruned += _delete(pks[:middle], before)
            pruned += _delete(pks[middle:], before)
        else:
            logger.warning("Run %s stays: another row refers to it. %s", pks[0], error)
            pruned.kept += 1
    return pruned


def _lock(pks: Sequence[int], before: datetime) -> list[int]:
    """
    Return those of the runs that are still over, and see that they remain so.

    Their rows are locked, on SQLite the whole database is: whoever resumes one now
    waits, and finds it gone. One that somebody moves at this moment is not waited for.
    """
    rows = Run.objects.using(home()).filter(_is_free(before), pk__in=pks)
    locked = rows.select_for_update(skip_locked=True).order_by("pk")
    return list(locked.values_list("pk", flat=True))


def _thin_out(pks: Sequence[int], before: datetime) -> int:
    """Take some of its events from a run that has too many for one transaction."""
    if len(pks) > 1:
        return 0  # They were put together because they have few.
    with writing(home()):
        events = Event.objects.using(home()).filter(run__in=_lock(pks, before))
        ids = events.order_by("pk").values_list("pk", flat=True)
        some = list(ids[:DELETED_AT_ONCE])
        if len(some) < DELETED_AT_ONCE:
            return 0
        return events.filter(pk__in=some).delete()[0]


def _delete_at_once(pks: Sequence[int], before: datetime) -> Pruned:
    with writing(home()):
        locked = _lock(pks, before)
        files = Upload.objects.using(home()).filter(run__in=locked)
        names = list(files.values_list("storage_name", flat=True))
        rows = Run.objects.using(home()).filter(_is_free(before), pk__in=locked)
        _, counts = rows.only("pk").delete()
        transaction.on_commit(partial(_remove, names), using=home(), robust=True)
    return Pruned(
        runs=counts.get(Run._meta.label, 0),
        events=counts.get(Event._meta.label, 0),
        files=len(names),
    )


def _remove(names: Sequence[str]) -> None:
    """Remove the files of runs that are gone; what stays lying is swept later."""
    for name in names:
        try:
            uploads.remove(name)
        except Exception:  # Whatever a storage may raise.
            logger.warning("The file %s could not be deleted.", name, exc_info=True)
