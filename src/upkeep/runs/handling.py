"""How people see to dead letters: they have them retried, or give them up."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError

from upkeep.conf import conf
from upkeep.databases import Now, home, in_short, storable, writing
from upkeep.exceptions import InvalidCall, InvalidParameters, NoOpenLetters
from upkeep.port import port
from upkeep.runs import intake
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.sources import here
from upkeep.runs.status import Status
from upkeep.runs.words import counted

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from upkeep.runs.dead_letters import DeadLetter, DeadLetterQuerySet

    By = AbstractBaseUser | str

AT_ONCE = 2_000  # letters, so that no transaction is long

SLOWEST = 1 / 86_400  # items a second: one a day


class _NoneWasOpen(Exception):
    """Others were quicker, and what was written for the letters is rolled back."""


# Which ones


def _runs_of(letters: DeadLetterQuerySet) -> list[Run]:
    """Return the runs that the open ones among the letters come from."""
    numbers = letters.open().order_by().values_list("run", flat=True).distinct()
    return list(Run.objects.using(home()).filter(pk__in=list(numbers)).order_by("pk"))


def _whole(letters: DeadLetterQuerySet) -> DeadLetterQuerySet:
    """Return the same letters as a set that can be narrowed, at home."""
    letters = letters.using(home())
    if not letters.query.is_sliced:
        return letters
    numbers = list(letters.values_list("pk", flat=True))
    return type(letters)(letters.model, using=home()).filter(pk__in=numbers)


def _some_at_a_time(
    letters: DeadLetterQuerySet, run: Run | None
) -> Iterator[DeadLetterQuerySet]:
    """Yield the open ones of a run, so many that they can be written at once."""
    last = 0
    numbers = letters.open().filter(run=run).order_by("pk").values_list("pk", flat=True)
    while some := list(numbers.filter(pk__gt=last)[:AT_ONCE]):
        last = some[-1]
        yield type(letters)(letters.model, using=home()).filter(pk__in=some)


def _note(run: Run, by: By) -> Event:
    """Begin a line in the story of a run, whose letters are counted later on."""
    return Event.objects.using(home()).create(
        run=run,
        kind=Event.Kind.NOTE,
        actor=storable(str(by))[:255],
        source=here(),
    )


def _tell(note: Event, text: str) -> None:
    note.text = storable(text)
    note.save(using=home(), update_fields=["text"])


def retrial_told_of(note: Event) -> int | None:
    """Return the number of the run that a line tells of, if it tells of a retrial."""
    found = _RETRIED.fullmatch(note.text) if note.kind == Event.Kind.NOTE else None
    return int(found["run"]) if found else None


_RETRIED = re.compile(r"[\d,]+ dead letters? retried as run (?P<run>\d{1,19})\.")


# Retrying


def retry(letters: DeadLetterQuerySet, *, by: By, rate: float | None) -> list[Run]:
    """Write a run for each run that the open letters come from, and give it these."""
    if rate is not None and not SLOWEST <= rate < math.inf:
        raise InvalidParameters({"rate": [_wrong(rate)]})
    letters = _whole(letters)
    if rate is not None and _calls(letters).exists():
        raise InvalidParameters({"rate": [_NO_RATE]})
    parents = _runs_of(letters)
    for parent in parents:
        _ = parent.task_class
        port.check_queue(parent)
    tried = [_retry(parent, letters, by, rate) for parent in parents]
    runs = [run for run in tried if run is not None]
    calls = call_again(letters, by=by)
    if calls.refusal and not (calls.made or runs):
        raise calls.refusal
    if not (calls.made or runs):
        raise NoOpenLetters("None of these dead letters is open, so nothing is tried.")
    return runs


def _wrong(rate: float) -> str:
    return (
        f"{rate:g} is no number of items per second. Give one above 0; one a day, "
        f"{SLOWEST:.6f}, is the slowest."
    )


_NO_RATE = (
    "Some of these dead letters are of calls, which are made as their queue has them "
    "made. Leave the rate out, or these letters."
)


def _calls(letters: DeadLetterQuerySet) -> DeadLetterQuerySet:
    return letters.open().filter(run=None)


@dataclass(slots=True)
class SecondCalls:
    """What came of calls that somebody wants to be made again."""

    made: int = 0
    refused: dict[str, list[int]] = field(default_factory=dict)
    """The dead letters whose calls cannot be made, by what stands in the way."""

    refusal: InvalidCall | None = None
    """The last of these, as one letter says it."""

    def add(self, letter: DeadLetter, refusal: InvalidCall | None) -> None:
        """Count a letter: a worker makes its call, or why none can."""
        if refusal is None:
            self.made += 1
            return
        self.refusal = refusal
        reason = letter.obstacle or str(refusal)
        self.refused.setdefault(reason, []).append(letter.pk)


def call_again(letters: DeadLetterQuerySet, *, by: By) -> SecondCalls:
    """Have the calls among the letters made again that can be."""
    calls = SecondCalls()
    for some in _some_at_a_time(_whole(letters), None):
        for letter in some:
            try:
                port.send_again(letter, by)
            except NoOpenLetters:
                continue  # Others were quicker.
            except InvalidCall as error:
                calls.add(letter, error)
            else:
                calls.add(letter, None)
    return calls


@dataclass(slots=True, frozen=True)
class _Retrial:
    """A run that is being given letters, and the line that tells of it."""

    run: Run
    note: Event

    def take(self, letters: DeadLetterQuerySet) -> int:
        """Give it those of the letters that are still open. Its row comes first."""
        taken = letters.take(self.run)
        self.run.total = (self.run.total or 0) + taken
        self.run.save(using=home(), update_fields=["total"])
        _tell(
            self.note,
            f"{counted(self.run.total, 'dead letter')} retried as run {self.run.pk}.",
        )
        return taken


def _retry(
    parent: Run, letters: DeadLetterQuerySet, by: By, rate: float | None
) -> Run | None:
    retrial: _Retrial | None = None
    for some in _some_at_a_time(letters, parent):
        if retrial is None:
            retrial = in_short(home(), partial(_begin, parent, some, by, rate))
        elif not in_short(home(), partial(_add, retrial, some)):
            break
    if retrial is None:
        return None
    in_short(home(), partial(_call, retrial.run))
    return retrial.run


def _begin(
    parent: Run, letters: DeadLetterQuerySet, by: By, rate: float | None
) -> _Retrial | None:
    """Write the run, unless others were quicker with all of these letters."""
    try:
        with writing(home()):
            run = intake.write_child(parent, by=by, rate=rate)
            retrial = _Retrial(run, _note(parent, by))
            if not retrial.take(letters):
                raise _NoneWasOpen
    except _NoneWasOpen:
        return None
    except IntegrityError:
        if Run.objects.using(home()).filter(pk=parent.pk).exists():
            raise
        return None  # Its parent was deleted at this moment, and the letters with it.
    return retrial


def _add(retrial: _Retrial, letters: DeadLetterQuerySet) -> bool:
    """Give more letters to the run, unless a worker or a person has moved it."""
    row = Run.objects.using(home()).filter(
        pk=retrial.run.pk, status=Status.ENQUEUED, attempts=0
    )
    with writing(home()):
        if not row.update(resend_at=Now() + conf.LEASE):
            return False  # The other letters stay open.
        retrial.run.refresh_from_db(using=home(), fields=["total"])
        retrial.take(letters)
    return True


def _call(run: Run) -> None:
    """See that a worker hears of the run, now that it has its letters."""
    with writing(home()):
        run.refresh_from_db(using=home())
        if run.status == Status.ENQUEUED and not run.attempts:
            port.call_worker(run)
    run.refresh_from_db(using=home())


# Giving up


def discard(letters: DeadLetterQuerySet, reason: str, *, by: By) -> int:
    """Give the open letters up, and say so in the story of each run."""
    if not reason.strip():
        raise InvalidParameters({"reason": ["Say why they are given up."]})
    letters = _whole(letters)
    changes: dict[str, Any] = {"state": letters.model.State.DISCARDED}
    changes |= {"note": storable(reason), "settled_at": Now()}
    if user := intake.as_user(by):
        changes["owner"] = user
    write = partial(_give_up, by=by, changes=changes)
    given_up = sum(write(run, letters) for run in _runs_of(letters))
    for some in _some_at_a_time(letters, None):
        given_up += in_short(home(), partial(some.open().update, **changes))
    return given_up


def _give_up(
    run: Run, letters: DeadLetterQuerySet, *, by: By, changes: dict[str, Any]
) -> int:
    note: Event | None = None
    total = 0
    for some in _some_at_a_time(letters, run):
        write = partial(_give_some_up, run, some, note, total, by=by, changes=changes)
        note, total = in_short(home(), write)
    return total


def _give_some_up(
    run: Run,
    letters: DeadLetterQuerySet,
    note: Event | None,
    before: int,
    *,
    by: By,
    changes: dict[str, Any],
) -> tuple[Event | None, int]:
    """Give letters up and count them in the line, which is begun with the first."""
    try:
        with writing(home()):
            line = note or _note(run, by)
            total = before + letters.open().update(**changes)
            if not total:
                raise _NoneWasOpen
            _tell(line, f"{counted(total, 'dead letter')} discarded: {changes['note']}")
    except _NoneWasOpen:
        return None, 0
    return line, total
