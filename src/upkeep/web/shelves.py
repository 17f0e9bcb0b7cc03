"""Dead letters that belong together, and those of them that an address asks for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from upkeep.databases import home, storable
from upkeep.runs.dead_letters import DeadLetter, DeadLetterQuerySet
from upkeep.runs.tallies import MOST, Tally
from upkeep.web.access import find_run
from upkeep.web.answers import with_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from upkeep.runs.models import Run

PAGE = 50
CAUSES = 8

State = DeadLetter.State


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What dead letters of one fingerprint have in common."""

    fingerprint: str
    count: int
    example: DeadLetter


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The dead letters of a run, or those of the calls of a function."""

    run: Run | None = None
    call: str = ""

    @property
    def letters(self) -> DeadLetterQuerySet:
        """All of them, in no order."""
        letters = DeadLetterQuerySet(DeadLetter, using=home())
        # By one column each, for there is an index that begins with it.
        return letters.filter(run=self.run) if self.run else letters.of(self.call)

    @property
    def tally(self) -> Tally:
        """How many there are in each state."""
        return Tally.of(self.letters)

    def url(self, verb: str = "", **query: str) -> str:
        """Return the address of the page, or that of what one does with letters."""
        name = "run-letters" if self.run else "call-letters"
        name = f"upkeep:{name}-{verb}" if verb else f"upkeep:{name}"
        return with_query(reverse(name, args=[self._key]), **query)

    @property
    def command(self) -> str:
        """What stands for it on the command line."""
        return str(self.run.pk) if self.run else f"--calls {self.call}"

    @property
    def _key(self) -> Any:
        return self.run.pk if self.run else self.call


def shelf_of_run(request: HttpRequest, pk: int) -> Shelf:
    """Return the dead letters of a run. Raises Http404 or PermissionDenied."""
    return Shelf(run=find_run(request, pk))


def shelf_of_call(path: str) -> Shelf:
    """Return the dead letters of the calls of a function. Raises Http404 for none."""
    shelf = Shelf(call=storable(path)[:255])
    known = shelf.letters.values_list("call", flat=True).first() if path else None
    if known != path:  # MariaDB takes other spellings for the same.
        raise Http404(_("No call of %(call)s was kept.") % {"call": path})
    return shelf


def shelf_of(letter: DeadLetter) -> Shelf:
    """Return the dead letters that one is among."""
    return Shelf(run=letter.run, call=letter.call)


@dataclass(frozen=True)
class Filter:
    """Which letters of a shelf are wanted, as an address or a form says."""

    state: str
    cause: str
    before: str

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Self:
        """Read it. Raises Http404 for a state that there is none of."""
        state = str(query.get("state") or State.OPEN)
        if state not in State.values:
            raise Http404(_("Dead letters have no state %(state)s.") % {"state": state})
        before = str(query.get("before", ""))
        # No id is longer, and Python refuses to read numbers of thousands of digits.
        is_number = before.isdecimal() and len(before) < 20
        cause = storable(str(query.get("cause", "")))[:64]
        return cls(state, cause, before if is_number else "")

    def among(self, letters: DeadLetterQuerySet) -> DeadLetterQuerySet:
        """Return those that fit, of all pages."""
        letters = letters.filter(state=self.state)
        return letters.filter(fingerprint=self.cause) if self.cause else letters

    def query(self, **others: str) -> dict[str, str]:
        """Return it as an address has it, with what is another there."""
        state = "" if self.state == State.OPEN else self.state
        return {"state": state, "cause": self.cause} | others


@dataclass(frozen=True)
class Contents:
    """A page of the letters of a shelf that fit, the latest first."""

    shelf: Shelf
    filter: Filter

    @cached_property
    def _found(self) -> list[DeadLetter]:
        letters = self.filter.among(self.shelf.letters).order_by("-pk")
        if self.filter.before:
            letters = letters.filter(pk__lt=int(self.filter.before))
        # The numbers first, which the index knows: MariaDB may walk over half a run.
        pks = list(letters.values_list("pk", flat=True)[: PAGE + 1])
        # And by these alone: with the run beside them PostgreSQL may read all of it.
        shown = DeadLetter.objects.using(home()).filter(pk__in=pks)
        shown = shown.select_related("owner")
        return list(shown.defer("traceback", "cursor").order_by("-pk"))

    @property
    def letters(self) -> list[DeadLetter]:
        """Those on the page."""
        return self._found[:PAGE]

    @property
    def further(self) -> int | None:
        """Behind which letter the next page begins; None at the end."""
        return self._found[PAGE - 1].pk if len(self._found) > PAGE else None

    @cached_property
    def causes(self) -> list[Cause]:
        """The most frequent causes among the latest 10,000 letters in the state."""
        letters = self.shelf.letters.filter(state=self.filter.state).order_by("-pk")
        seen = list(letters.values_list("fingerprint", "pk")[:MOST])
        # The first that is met is the latest.
        latest = dict(reversed(seen))
        frequent = Counter(fingerprint for fingerprint, _pk in seen)
        common = frequent.most_common(CAUSES)
        pks = [latest[fingerprint] for fingerprint, _count in common]
        found = self.shelf.letters.defer("traceback", "cursor").in_bulk(pks)
        return [
            Cause(fingerprint=name, count=count, example=found[latest[name]])
            for name, count in common
            if latest[name] in found
        ]
