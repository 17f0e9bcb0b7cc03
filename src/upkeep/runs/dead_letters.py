"""Items that failed for good, kept until somebody has seen to them."""

from __future__ import annotations

import re
import traceback
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from upkeep.tasks.values import to_storable


class DeadLetter(models.Model):
    """An item that failed for good, with what it was and why."""

    class State(models.TextChoices):
        """What has become of it."""

        OPEN = "open", _("Open")  # Nobody has seen to it yet.
        RETRYING = "retrying", _("Retrying")  # A run is to try it once more.
        RESOLVED = "resolved", _("Resolved")  # It went well in the end.
        DISCARDED = "discarded", _("Discarded")  # A person has given it up.

    run = models.ForeignKey(
        "upkeep.Run", on_delete=models.CASCADE, related_name="dead_letters"
    )
    item = models.CharField(_("item"), max_length=255, blank=True)
    payload = models.JSONField(_("payload"), null=True, blank=True)
    cursor = models.JSONField(null=True, editable=False)  # The place before it.
    error_class = models.CharField(_("error class"), max_length=255)
    error_message = models.TextField(_("error message"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.OPEN
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("owner"),
    )
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        app_label = "upkeep"
        ordering = ("id",)
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        permissions = [("handle_deadletter", _("Can retry and discard dead letters"))]
        indexes = [
            models.Index(fields=["run", "state", "id"], name="upkeep_letter_state"),
            models.Index(fields=["run", "fingerprint"], name="upkeep_letter_cause"),
        ]

    def __str__(self) -> str:
        return f"{self.item}: {self.error_message}"


def payload_of(item: Any) -> Any:
    """Return an item as JSON: a record by its key; None where it cannot be stored."""
    try:
        return to_storable(item)
    except TypeError:
        return None


def fingerprint_of(error: BaseException) -> str:
    """
    Return what errors of one cause have in common, as hex digits.

    That is their class, where they were raised, and what they say but for numbers and
    what is quoted.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].name}" if frames else ""
    said = re.sub(r"""\d+|'[^']*'|"[^"]*\"""", "#", str(error)[:1000])
    identity = f"{type(error).__module__}.{type(error).__qualname__}\n{place}\n{said}"
    return sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()
