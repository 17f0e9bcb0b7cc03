"""The story of a run: its moves, with actor, source and reason, and its log lines."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from upkeep.runs.sources import Source
from upkeep.runs.status import Status


class Event(models.Model):
    """
    Something that happened to a run.

    `source` is from where a move was made; older ones and log lines have none.
    `cursor` is where it stopped, as it is: `places` masks what is secret in it.
    `announce_at` is when others may call the hooks and signals of a move, should who
    made it have died; None: they were called, or there are none.
    """

    class Kind(models.TextChoices):
        """What an event tells of."""

        MOVE = "move", _("Move")  # The run came into `status`; `text` says why.
        LOG = "log", _("Log")  # The task said `text`.
        # `actor` did `text` with its dead letters, or `text` is odd about the run.
        NOTE = "note", _("Note")

    run = models.ForeignKey(
        "upkeep.Run", on_delete=models.CASCADE, related_name="events"
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, blank=True
    )
    text = models.TextField(_("text"), blank=True)
    actor = models.CharField(_("actor"), max_length=255, blank=True)
    source = models.CharField(
        _("source"),
        max_length=8,
        choices=Source.choices,
        blank=True,
        default="",
        db_default="",
    )
    cursor = models.JSONField(_("cursor"), null=True, blank=True, editable=False)
    announce_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        app_label = "upkeep"
        ordering = ("id",)
        # The last moves are asked for by each look at a page, past all that was logged.
        indexes = [
            models.Index(fields=["run", "kind", "id"], name="upkeep_event_moves"),
            models.Index(fields=["announce_at"], name="upkeep_event_announce"),
        ]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.status or self.kind}: {self.text}"
