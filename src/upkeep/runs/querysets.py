"""What one asks of all runs."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Self

from django.db.models import Exists, OuterRef, Q, QuerySet

from upkeep.databases import Now
from upkeep.runs.leases import Lease
from upkeep.runs.status import ACTIVE, ENDED, HELD, WAITING

if TYPE_CHECKING:
    from upkeep.runs.models import Run  # noqa: F401 - named in a string below


def abandoned() -> Q:
    """Say that a worker holds the run, but neither it nor its pacemaker was heard."""
    beats = Lease.objects.filter(run=OuterRef("pk"), until__gte=Now())
    return Q(~Exists(beats), status__in=HELD, lease_until__lt=Now())


class RunQuerySet(QuerySet["Run"]):
    """Runs, asked for in the words of the domain."""

    def of(self, *labels: str) -> Self:
        """
        Return the runs of tasks with these labels, spelled just so.

        To MariaDB's collations `blog.Purge`, `BLOG.PURGE` and `blog.Purge ` are the
        same, and a permission is asked for by the label.
        """
        spelled = [Q(task__startswith=label) for label in labels]
        return self.filter(reduce(or_, spelled, Q()), task__in=labels)

    def active(self) -> Self:
        """Return the runs that are not over."""
        return self.filter(status__in=ACTIVE)

    def ended(self) -> Self:
        """Return the runs that are over."""
        return self.filter(status__in=ENDED)

    def claimable(self) -> Self:
        """Return the runs that a worker may take up now."""
        due = Q(run_after__isnull=True) | Q(run_after__lte=Now())
        return self.filter(due, status__in=WAITING)

    def abandoned(self) -> Self:
        """Return the runs whose worker has let its lease run out."""
        return self.filter(abandoned())

    def unheard(self) -> Self:
        """Return the runs whose message should have been read by now."""
        return self.filter(status__in=WAITING, resend_at__lt=Now())
