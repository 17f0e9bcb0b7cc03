"""How far a run has come, in numbers and in words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.translation import ngettext

if TYPE_CHECKING:
    from upkeep.runs.models import Run


class Progress:
    """What a bar and the sentence beside it show of a run."""

    def __init__(self, run: Run) -> None:
        self.done = run.done
        self.total = run.total
        self.unit = run.unit
        self.time_running = run.time_running

    @property
    def fraction(self) -> float | None:
        """The part that is done, from 0 to 1; None where the total is not known."""
        if self.total is None:
            return None
        return self.done / self.total if self.done < self.total else 1.0

    @property
    def reached(self) -> int:
        """How far the bar stands, of its total, or of 1 where that is none."""
        return min(self.done, self.total) if self.total else 1

    @property
    def rate(self) -> float | None:
        """Items a second while a worker held the run; None before the first."""
        seconds = self.time_running.total_seconds()
        return self.done / seconds if self.done and seconds else None

    @property
    def time_left(self) -> timedelta | None:
        """How long the rest takes at the rate so far; None where nobody can know."""
        if self.total is None or self.rate is None:
            return None
        return timedelta(seconds=max(self.total - self.done, 0) / self.rate)

    @property
    def brief(self) -> str:
        """The part that is done in percent, else the number."""
        if self.fraction is None:
            return f"{self.done:,}"
        return f"{int(100 * self.fraction)} %"

    @property
    def text(self) -> str:
        """The numbers as a sentence."""
        if self.total is None:
            return self._sentence_without_total % {"done": f"{self.done:,}"}
        return self._sentence % {
            "done": f"{self.done:,}",
            "total": f"{self.total:,}",
            "percent": 100 * (self.fraction or 0),
        }

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
