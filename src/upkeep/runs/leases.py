"""A worker's timed right to advance a run."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Lease(models.Model):
    """
    The time until which a worker holds a run, as its pacemaker writes it.

    It has a row of its own because a chunk under repeatable read could not write the
    run's row once the pacemaker has; of `until` and the run's own `lease_until`, which
    the checkpoints write, the later counts. Made with its run, never deleted before:
    an insert at each claim would let neighbours deadlock on MariaDB's gap locks.
    """

    run = models.OneToOneField(
        "upkeep.Run", on_delete=models.CASCADE, primary_key=True, related_name="lease"
    )
    token = models.CharField(_("token"), max_length=32)
    until = models.DateTimeField(_("until"), null=True)

    class Meta:
        app_label = "upkeep"
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"run {self.run_id} until {self.until}"
