"""Items and calls that failed for good, kept until somebody has seen to them."""

from __future__ import annotations

import re
import traceback
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from upkeep.databases import home, storable
from upkeep.exceptions import NoOpenLetters
from upkeep.port import port
from upkeep.runs import handling
from upkeep.runs.words import message_of
from upkeep.tasks.values import to_storable

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from upkeep.runs.models import Run
    from upkeep.tasks.collections.base import Cursor

FINGERPRINT = 64  # digits


class DeadLetterQuerySet(QuerySet["DeadLetter"]):
    """Dead letters, asked for and seen to in the words of the domain."""

    # What a person does with them

    def open(self) -> Self:
        """Return those that nobody has seen to."""
        return self.filter(state=DeadLetter.State.OPEN)

    def of(self, call: str) -> Self:
        """Return those of the calls of a function."""
        return self.filter(call=call)

    def of_cause(self, fingerprint: str) -> Self:
        """Return those with a fingerprint, of which the first digits are enough."""
        if len(fingerprint) >= FINGERPRINT:
            return self.filter(fingerprint=fingerprint)
        return self.filter(fingerprint__startswith=fingerprint)

    def by_cause(self) -> Any:
        """Return each fingerprint with how many there are and the latest of them."""
        each = self.order_by().values("fingerprint")
        counted = each.annotate(count=Count("pk"), latest=Max("pk"))
        return counted.order_by("-count", "-latest")

    def first_ones(self, number: int) -> Self:
        """Return so many of them, the oldest, as a set that can be narrowed."""
        pks = self.order_by("pk").values_list("pk", flat=True)
        last = pks[number - 1 : number].first()
        return self if last is None else self.filter(pk__lte=last)

    def retry(
        self, *, by: AbstractBaseUser | str = "", rate: float | None = None
    ) -> list[Run]:
        """
        Have those that are open tried once more, at most `rate` items a second.

        It returns a run for each run they come from, enqueued; calls are made again by
        workers, and have none. Raises NoOpenLetters, TaskNotFound, QueueRefused,
        InvalidCall or InvalidParameters, and no run exists then; or AlreadyActive
        where `concurrency` leaves no room, and what was enqueued stays.
        """
        return handling.retry(self, by=by, rate=rate)

    def discard(self, reason: str, *, by: AbstractBaseUser | str = "") -> int:
        """
        Give those up that are open, for a reason; return how many.

        Raises InvalidParameters where there is no reason.
        """
        return handling.discard(self, reason, by=by)

    def assign(self, owner: AbstractBaseUser | None, *, note: str | None = None) -> int:
        """Say whose they are, and what others should know; return how many."""
        told = {} if note is None else {"note": storable(note)}
        return self.update(owner=owner, **told)

    # What becomes of them in a run that retries them

    def take(self, run: Run) -> int:
        """Give those that are open to a run that is to retry them."""
        return self.open().update(state=DeadLetter.State.RETRYING, retried_by=run)

    def retrying(self, *, behind: Cursor | None = None) -> Self:
        """Return those that are still to be retried, behind a place of their run."""
        return self._behind(behind).filter(state=DeadLetter.State.RETRYING)

    def let_go(self) -> int:
        """Open those again that were not retried."""
        return self.retrying().update(state=DeadLetter.State.OPEN)

    def take_back(self, *, behind: Cursor | None) -> int:
        """Take those again that were let go, where nobody has seen to them since."""
        waiting = self._behind(behind).open()
        return waiting.update(state=DeadLetter.State.RETRYING)

    def _behind(self, cursor: Cursor | None) -> Self:
        return self.all() if cursor is None else self.filter(pk__gt=cursor["letter"])


DeadLetters = models.Manager.from_queryset(DeadLetterQuerySet)


def let_go(collector: Any, field: Any, letters: Any, using: str) -> None:
    """Open the letters again that a run was to retry which somebody deletes."""
    state = DeadLetter._meta.get_field("state")
    waiting = [each for each in letters if each.state == DeadLetter.State.RETRYING]
    collector.add_field_update(state, DeadLetter.State.OPEN, waiting)
    models.SET_NULL(collector, field, letters, using)


class DeadLetter(models.Model):
    """An item or a call that failed for good, with what it was and why."""

    class State(models.TextChoices):
        """What has become of it."""

        OPEN = "open", _("Open")  # Nobody has seen to it yet.
        RETRYING = "retrying", _("Retrying")  # It is to be tried once more.
        RESOLVED = "resolved", _("Resolved")  # It went well in the end.
        DISCARDED = "discarded", _("Discarded")  # A person, or a rule, gave it up.

    run = models.ForeignKey(  # That of an item; a call has none.
        "upkeep.Run", on_delete=models.CASCADE, null=True, related_name="dead_letters"
    )
    # The dotted path of the function; an item has none.
    call = models.CharField(
        _("call"), max_length=255, blank=True, default="", db_default=""
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
    retried_by = models.ForeignKey(  # last of all
        "upkeep.Run",
        on_delete=let_go,
        null=True,
        blank=True,
        related_name="letters_in_hand",
        db_index=False,  # The index by which they are found begins with it.
        verbose_name=_("retried by"),
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
    settled_at = models.DateTimeField(  # When it was resolved or discarded.
        _("settled at"), null=True, editable=False
    )

    # Of calls alone: why the call cannot be made again, and the latest second call.
    obstacle = models.CharField(
        _("obstacle"), max_length=500, blank=True, default="", db_default=""
    )
    called_by = models.CharField(
        _("called by"), max_length=255, blank=True, default="", db_default=""
    )
    token = models.CharField(max_length=32, default="", db_default="", editable=False)
    backend = models.CharField(max_length=64, default="", db_default="", editable=False)
    message_id = models.CharField(
        max_length=64, default="", db_default="", editable=False
    )
    messages_sent = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    begun_at = models.DateTimeField(_("begun at"), null=True, editable=False)
    # When the sweep looks: for the message, or once begun for a sign of life.
    due_at = models.DateTimeField(null=True, editable=False)

    objects = DeadLetters()

    class Meta:
        app_label = "upkeep"
        ordering = ("id",)
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        permissions = [("handle_deadletter", _("Can retry and discard dead letters"))]
        indexes = [
            models.Index(fields=["run", "state", "id"], name="upkeep_letter_state"),
            models.Index(  # Holds all by which causes are counted: no row is read.
                fields=["run", "state", "fingerprint", "id"],
                name="upkeep_letter_of_cause",
            ),
            models.Index(
                fields=["retried_by", "state", "id"], name="upkeep_letter_in_hand"
            ),
            models.Index(fields=["call", "state", "id"], name="upkeep_letter_call"),
            models.Index(fields=["due_at"], name="upkeep_letter_due"),
        ]

    def __str__(self) -> str:
        return f"{self.item}: {self.error_message}"

    @property
    def place(self) -> str:
        """The task or the function that it is of."""
        return self.run.task if self.run else self.call

    def retry(
        self, *, by: AbstractBaseUser | str = "", rate: float | None = None
    ) -> Run | None:
        """
        Have it tried once more; return the run that does, or None for a call.

        Raises NoOpenLetters, InvalidCall, or as those of many do.
        """
        if self.call and rate is None:
            port.send_again(self, by)
            return None
        (run,) = self._row.retry(by=by, rate=rate)
        self.refresh_from_db(using=home())
        return run

    def discard(self, reason: str, *, by: AbstractBaseUser | str = "") -> None:
        """Give it up, for a reason. Raises NoOpenLetters or InvalidParameters."""
        if not self._row.discard(reason, by=by):
            raise NoOpenLetters(
                f"The dead letter {self.pk} is not open any more, so nobody needs to "
                "give it up."
            )
        self.refresh_from_db(using=home())

    def assign(
        self, owner: AbstractBaseUser | None, *, note: str | None = None
    ) -> None:
        """Say whose it is to see to it, and what others should know."""
        self._row.assign(owner, note=note)
        self.refresh_from_db(using=home())

    @property
    def _row(self) -> DeadLetterQuerySet:
        return DeadLetterQuerySet(DeadLetter, using=home()).filter(pk=self.pk)


def payload_of(item: Any) -> Any:
    """Return an item as JSON: a record by its key; None where it cannot be stored."""
    try:
        return to_storable(item)
    except Exception:  # noqa: BLE001 - the item's own code, which may do anything
        return None


def fingerprint_of(error: BaseException) -> str:
    """
    Return what errors of one cause have in common, as hex digits.

    That is their class, where they were raised, and what they say but for numbers and
    what is quoted.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].name}" if frames else ""
    said = re.sub(r"""\d+|'[^']*'|"[^"]*\"""", "#", message_of(error)[:1000])
    identity = f"{type(error).__module__}.{type(error).__qualname__}\n{place}\n{said}"
    return sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()
