"""How far a run has come, in numbers and in words."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from upkeep.runs.status import Status

if TYPE_CHECKING:
    from upkeep.runs.models import Run


class Progress:
    """What a bar and the sentence beside it show of a run."""

    def __init__(self, run: Run) -> None:
        self.done = run.done
        self.failed, self.skipped = run.failed, run.skipped
        self.limit = run.rate
        self.changed, self.created, self.deleted = run.changed, run.created, run.deleted
        self.passed = run.reached
        self.is_estimated = run.is_total_estimated
        # An estimate that was too small says nothing any more, nor does any number
        # that others were found to be at the end: rows come and go meanwhile.
        is_wrong = self.is_estimated and run.reached >= (run.total or 0)
        is_past = run.status == Status.SUCCEEDED and run.reached != run.total
        self.total = None if is_wrong or is_past else run.total
        self.unit = run.unit
        self.time_running = run.time_running

    @property
    def fraction(self) -> float | None:
        """The part that is behind it, from 0 to 1; None where nobody knows of what."""
        if self.total is None:
            return None
        return self.passed / self.total if self.passed < self.total else 1.0

    @property
    def reached(self) -> int:
        """How far the bar stands, of its total, or of 1 where that is none."""
        return min(self.passed, self.total) if self.total else 1

    @property
    def rate(self) -> float | None:
        """Items a second while a worker held the run; None before the first."""
        seconds = self.time_running.total_seconds()
        if not (self.passed and seconds):
            return None
        # To wait until the next item is due is no time that it runs.
        return min(self.passed / seconds, self.limit or math.inf)

    @property
    def time_left(self) -> timedelta | None:
        """How long the rest takes at the rate so far; None where nobody can know."""
        if self.total is None or self.rate is None:
            return None
        return timedelta(seconds=max(self.total - self.passed, 0) / self.rate)

    @property
    def brief(self) -> str:
        """The part that is done in percent, else the number."""
        if self.fraction is None:
            return f"{self.passed:,}"
        return f"{int(100 * self.fraction)} %"

    @property
    def text(self) -> str:
        """The numbers as a sentence."""
        if self.total is None:
            sentence = self._sentence_without_total % {"done": f"{self.done:,}"}
        else:
            sentence = self._sentence % {
                "done": f"{self.done:,}",
                "total": self.total_in_words,
                "percent": 100 * (self.fraction or 0),
            }
        return ", ".join([sentence, *self.losses, *self.gains])

    @property
    def total_in_words(self) -> str:
        """Of how many; empty where nobody knows."""
        if self.total is None:
            return ""
        if not self.is_estimated:
            return f"{self.total:,}"
        rounded = float(f"{self.total:.2g}")  # Of more digits nobody knows anything.
        return _("about %(number)s") % {"number": f"{rounded:,.0f}"}

    @property
    def losses(self) -> list[str]:
        """How many failed, and how many were skipped; nothing where none did."""
        words = []
        if self.failed:
            words.append(_("%(number)s failed") % {"number": f"{self.failed:,}"})
        if self.skipped:
            words.append(_("%(number)s skipped") % {"number": f"{self.skipped:,}"})
        return words

    @property
    def gains(self) -> list[str]:
        """How many rows were written, of a task that leaves that to the engine."""
        words = []
        if self.changed:
            words.append(_("%(number)s changed") % {"number": f"{self.changed:,}"})
        if self.created:
            words.append(_("%(number)s created") % {"number": f"{self.created:,}"})
        if self.deleted:
            words.append(_("%(number)s deleted") % {"number": f"{self.deleted:,}"})
        return words

    @property
    def _sentence_without_total(self) -> str:
        if self.unit == "batch":
            return ngettext("%(done)s batch done", "%(done)s batches done", self.done)
        return ngettext("%(done)s item done", "%(done)s items done", self.done)

    @property
    def _sentence(self) -> str:
        total = self.total or 0
        if self.unit == "batch":
            return ngettext(
                "%(done)s of %(total)s batch (%(percent)d %%)",
                "%(done)s of %(total)s batches (%(percent)d %%)",
                total,
            )
        return ngettext(
            "%(done)s of %(total)s item (%(percent)d %%)",
            "%(done)s of %(total)s items (%(percent)d %%)",
            total,
        )
