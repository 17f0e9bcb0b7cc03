"""What becomes of dead letters in the run that retries them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import F

from upkeep.databases import home, storable
from upkeep.exceptions import Skip
from upkeep.execution.failures import message_of, told
from upkeep.runs.dead_letters import DeadLetter, fingerprint_of
from upkeep.runs.retried_letters import Missing, NoLongerThere
from upkeep.tasks.masks import mask_text

if TYPE_CHECKING:
    from upkeep.execution.failures import Failure
    from upkeep.runs.dead_letters import DeadLetterQuerySet
    from upkeep.runs.models import Run
    from upkeep.tasks.base import Task
    from upkeep.tasks.collections.base import Cursor

    Passed = tuple[Cursor, Skip]  # The place behind an item, and what it said.

State = DeadLetter.State


class Retrial:
    """
    The letters of a run that retries them.

    All of it is written in the transaction that counts the items, behind the run's row.
    """

    def __init__(self, run: Run, task: Task, secrets: frozenset[str]) -> None:
        self.run = run
        self.task = task
        self.secrets = secrets

    def process(self, item: Any) -> None:
        """Have the task do its work for an item, if it was found."""
        if isinstance(item, Missing):
            raise item.error()
        self.task.process(item)

    def settle(
        self, before: Cursor | None, after: Cursor | None, skips: Sequence[Passed]
    ) -> None:
        """Resolve what lies between two places, but for those that were skipped."""
        for place, skip in skips:
            self.pass_over(place, skip)
        if after is not None and after != before:
            letters = self._letters.retrying(behind=before)
            letters.filter(pk__lte=after["letter"]).update(state=State.RESOLVED)

    def resolve(self, place: Cursor) -> None:
        """Note that the item before a place went well."""
        self._at(place).update(state=State.RESOLVED)

    def pass_over(self, place: Cursor, error: BaseException) -> None:
        """Note that the item before a place needs nothing, or is given up by a rule."""
        state = State.RESOLVED if isinstance(error, NoLongerThere) else State.DISCARDED
        said = message_of(error)
        if not isinstance(error, Skip):
            said = f"{type(error).__name__}: {said}"
        note = storable(mask_text(said or "Its task skips it.", self.secrets))
        self._at(place).update(state=state, note=note)

    def fail(self, place: Cursor, failure: Failure) -> None:
        """Open the letter of the item before a place again, with its new error."""
        self._at(place).update(
            state=State.OPEN,
            attempts=F("attempts") + failure.attempts,
            fingerprint=fingerprint_of(failure.error),
            **told(failure.error, self.secrets),
        )

    def _at(self, place: Cursor) -> DeadLetterQuerySet:
        return self._letters.retrying().filter(pk=place["letter"])

    @property
    def _letters(self) -> DeadLetterQuerySet:
        return self.run.letters_in_hand.using(home())
