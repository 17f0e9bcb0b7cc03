"""A worker's timed right to advance a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from upkeep.runs.status import HELD

if TYPE_CHECKING:
    from upkeep.runs.models import Run


class Lease(models.Model):
    """
    The time until which a worker holds a run, as its pacemaker writes it.

    It has a row of its own because a chunk under repeatable read could not write the
    run's row once the pacemaker has; of `until` and the run's own `lease_until`, which
    the checkpoints write, the later counts. Made with its run, never deleted before:
    an insert at each claim would let neighbours deadlock on MariaDB's gap locks.

    `item` is what is in hand for too long, `place` and `stack` where the worker stands.
    Each beat writes them anew, so a checkpoint behind the last beat makes them void.
    """

    run = models.OneToOneField(
        "upkeep.Run", on_delete=models.CASCADE, primary_key=True, related_name="lease"
    )
    token = models.CharField(_("token"), max_length=32)
    until = models.DateTimeField(_("until"), null=True)
    item = models.CharField(_("item"), max_length=255, default="", db_default="")
    item_since = models.DateTimeField(_("item since"), null=True)
    place = models.CharField(_("place"), max_length=255, default="", db_default="")
    stack = models.TextField(_("stack"), default="", db_default="")

    class Meta:
        app_label = "upkeep"
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"run {self.run_id} until {self.until}"


def stuck(run: Run) -> Lease | None:
    """
    Return the lease of a run that says what is in hand for too long, if it does.

    Costs a query, unless the lease was fetched with the run.
    """
    if run.status not in HELD or run.lease.item_since is None:
        return None
    beat, checkpoint = run.lease.until, run.lease_until
    is_void = beat is None or (checkpoint is not None and beat <= checkpoint)
    return None if is_void else run.lease
