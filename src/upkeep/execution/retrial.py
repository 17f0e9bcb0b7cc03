"""What becomes of dead letters in the run that retries them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F

from upkeep.databases import Now, home, storable
from upkeep.exceptions import Skip
from upkeep.execution.failures import told
from upkeep.runs.dead_letters import DeadLetter, fingerprint_of
from upkeep.runs.retried_letters import Missing, NoLongerThere
from upkeep.runs.words import message_of
from upkeep.tasks.masks import mask_text

if TYPE_CHECKING:
    from upkeep.execution.chunks import Chunk
    from upkeep.execution.failures import Failure
    from upkeep.runs.dead_letters import DeadLetterQuerySet
    from upkeep.runs.models import Run
    from upkeep.tasks.base import Task
    from upkeep.tasks.collections.base import Cursor

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

    def settle(self, before: Cursor | None, chunk: Chunk) -> None:
        """Write what became of the letters of a chunk that began behind a place."""
        for place, skip in chunk.skips:
            self.pass_over(place, skip)
        for each in chunk.passed_over:
            self.note(each.verdict.counts_as, each.hand.after, each.failure)
        if chunk.cursor is not None and chunk.cursor != before:
            letters = self._letters.retrying(behind=before)
            done = letters.filter(pk__lte=chunk.cursor["letter"])
            done.update(state=State.RESOLVED, settled_at=Now())

    def note(self, counts_as: str, place: Cursor, failure: Failure) -> None:
        """Write what became of the item before a place, by what it counts as."""
        match counts_as:
            case "done":
                self._at(place).update(state=State.RESOLVED, settled_at=Now())
            case "skipped":
                self.pass_over(place, failure.error)
            case "failed":
                self.fail(place, failure)

    def pass_over(self, place: Cursor, error: BaseException) -> None:
        """Note that the item before a place needs nothing, or is given up by a rule."""
        state = State.RESOLVED if isinstance(error, NoLongerThere) else State.DISCARDED
        said = message_of(error)
        if not isinstance(error, Skip):
            said = f"{type(error).__name__}: {said}"
        note = storable(mask_text(said or "Its task skips it.", self.secrets))
        self._at(place).update(state=state, note=note, settled_at=Now())

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
