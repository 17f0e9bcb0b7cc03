"""One execution of a task: a row that holds all there is to know of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import CheckConstraint, F, Index, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from upkeep.conf import conf
from upkeep.databases import Now, home, storable, through_deadlocks, writing
from upkeep.exceptions import InvalidTransition
from upkeep.port import port
from upkeep.runs import slots
from upkeep.runs.events import Event
from upkeep.runs.querysets import RunQuerySet
from upkeep.runs.sources import Source, here, moves_from
from upkeep.runs.status import ACTIVE, ENDED, HELD, STOPS, WAITING, Status, sources_of
from upkeep.tasks import registry

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.db.models.fields.related_descriptors import RelatedManager

    from upkeep.runs.leases import Lease
    from upkeep.tasks.base import Task

# Where a person's wish takes a run from each status. Where no worker holds it, at
# once; where one does, by way of the worker. A wish already granted is no error.
PAUSE = {
    Status.ENQUEUED: Status.PAUSED,
    Status.INTERRUPTED: Status.PAUSED,
    Status.RUNNING: Status.PAUSING,
    Status.PAUSING: Status.PAUSING,
    Status.PAUSED: Status.PAUSED,
}
CANCEL = {
    Status.ENQUEUED: Status.CANCELLED,
    Status.INTERRUPTED: Status.CANCELLED,
    Status.PAUSED: Status.CANCELLED,
    Status.ERRORED: Status.CANCELLED,
    Status.RUNNING: Status.CANCELLING,
    Status.PAUSING: Status.CANCELLING,
    Status.CANCELLING: Status.CANCELLING,
    Status.CANCELLED: Status.CANCELLED,
}
RESUME = {
    Status.PAUSED: Status.ENQUEUED,
    Status.ERRORED: Status.ENQUEUED,
    Status.INTERRUPTED: Status.ENQUEUED,
    Status.PAUSING: Status.RUNNING,
}

# What a run is under way in; a throttle that holds it is forgotten elsewhere.
UNDER_WAY = HELD | {Status.INTERRUPTED}

UNTHROTTLED = {"throttled_by": "", "throttled_reason": "", "throttled_since": None}

# How often a wish is tried again when the run moves at the same moment.
WISH_ATTEMPTS = 5


# Log lines that one statement carries; the longest of them fit in what MariaDB takes.
LINES_AT_ONCE = 200


def new_token() -> str:
    """Return a token that no message and no worker has borne before."""
    return secrets.token_hex(16)


def announce_on_commit(event: Event) -> None:
    """Have the hooks and signals of a move called when it is committed."""

    def tell() -> None:
        with moves_from(Source.PYTHON):  # What hooks do is not done by a person.
            port.announce(event)

    transaction.on_commit(tell, using=home(), robust=True)


class Run(models.Model):
    """One execution of a task."""

    # What was asked for
    task = models.CharField(_("task"), max_length=255)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("requested by"),
    )
    parent = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="children",
        verbose_name=_("parent"),
    )
    """The run whose dead letters this one tries once more; None: it walks by itself."""

    rate = models.FloatField(_("rate"), null=True, blank=True)
    """How many items it may work on in a second; None: any number."""

    permission = models.CharField(  # that the task asked for then
        max_length=255, blank=True, default="", db_default="", editable=False
    )
    active_key = models.CharField(  # noqa: DJ001 - of many NULLs, each is unique
        max_length=64, null=True, unique=True, editable=False
    )

    # Where it stands
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.ENQUEUED
    )
    reason = models.TextField(_("reason"), blank=True)
    cursor = models.JSONField(_("cursor"), null=True, blank=True)
    done = models.PositiveBigIntegerField(_("done"), default=0)
    failed = models.PositiveBigIntegerField(_("failed"), default=0, db_default=0)
    skipped = models.PositiveBigIntegerField(_("skipped"), default=0, db_default=0)
    changed = models.PositiveBigIntegerField(_("changed"), default=0, db_default=0)
    """Records that were saved, of a task that declares updates."""

    created = models.PositiveBigIntegerField(_("created"), default=0, db_default=0)
    """Rows that were written, of a task that declares what it creates."""

    deleted = models.PositiveBigIntegerField(_("deleted"), default=0, db_default=0)
    """Records that were deleted, of a task that declares deletes."""

    conflicts = models.PositiveBigIntegerField(_("conflicts"), default=0, db_default=0)
    """Records that others had changed meanwhile, each as often as it was read again."""

    total = models.PositiveBigIntegerField(_("total"), null=True, blank=True)
    is_total_estimated = models.BooleanField(
        _("is total estimated"), default=False, db_default=False
    )
    """Whether to count would have taken long; the end of the run makes it exact."""

    unit = models.CharField(_("unit"), max_length=16, default="item", db_default="item")
    result = models.JSONField(_("result"), null=True, blank=True)
    item_attempts = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    """How often the item at the cursor has failed."""

    workers_lost = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    """How many workers in a row fell silent at the cursor."""

    error_class = models.CharField(_("error class"), max_length=255, blank=True)
    error_message = models.TextField(_("error message"), blank=True)
    error_at = models.CharField(
        _("stopped at"), max_length=255, blank=True, default="", db_default=""
    )
    traceback = models.TextField(_("traceback"), blank=True)

    logged = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)

    # Who works on it
    lease_token = models.CharField(max_length=32, default=new_token, editable=False)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=255, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)

    # How a worker hears of it
    backend = models.CharField(_("backend"), max_length=64, default="default")
    queue = models.CharField(_("queue"), max_length=64, default="default")
    priority = models.SmallIntegerField(_("priority"), default=0)
    run_after = models.DateTimeField(_("run after"), null=True, blank=True)
    message_id = models.CharField(max_length=64, blank=True, editable=False)
    messages_sent = models.PositiveIntegerField(default=0, editable=False)
    resend_at = models.DateTimeField(null=True, blank=True, editable=False)

    # What it waits for, until `run_after` where it has given its worker back
    throttled_by = models.CharField(
        _("throttled by"), max_length=255, blank=True, default="", db_default=""
    )
    throttled_reason = models.CharField(
        _("throttled because"), max_length=255, blank=True, default="", db_default=""
    )
    throttled_since = models.DateTimeField(_("throttled since"), null=True, blank=True)

    # When
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    time_running = models.DurationField(_("time running"), default=timedelta)

    objects = RunQuerySet.as_manager()

    if TYPE_CHECKING:
        events: RelatedManager[Event]
        lease: Lease

    class Meta:
        app_label = "upkeep"
        ordering = ("-id",)
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        constraints = [
            CheckConstraint(
                name="upkeep_run_status", condition=Q(status__in=Status.values)
            ),
            CheckConstraint(
                name="upkeep_run_ended_at",
                condition=Q(status__in=sorted(ENDED), ended_at__isnull=False)
                | Q(status__in=sorted(ACTIVE), ended_at__isnull=True),
            ),
        ]
        permissions = [
            ("run_task", _("Can start runs of tasks")),
            ("control_run", _("Can pause, resume and cancel runs")),
        ]
        indexes = [
            Index(fields=["task", "id"], name="upkeep_run_history"),
            Index(fields=["task", "status"], name="upkeep_run_task"),
            Index(fields=["status", "lease_until"], name="upkeep_run_lease"),
            Index(fields=["status", "resend_at"], name="upkeep_run_resend"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.task}"

    # What one can ask of it

    @property
    def is_active(self) -> bool:
        """Tell whether the run is not over."""
        return self.status in ACTIVE

    @property
    def asks_for(self) -> str:
        """
        The permission that one needs beside those of Upkeep; an empty text for none.

        Its task says so, and where that is gone, what it said when the run began.
        """
        task = registry.find(self.task)
        return (task.permission or "") if task else self.permission

    @property
    def reached(self) -> int:
        """How many items it has behind it: done, failed or skipped."""
        return self.done + self.failed + self.skipped

    @property
    def task_class(self) -> type[Task]:
        """The task's class. Raises TaskNotFound where it is gone."""
        return registry.get(self.task)

    # What one can wish of it

    def pause(self, *, by: AbstractBaseUser | str = "", reason: str = "") -> None:
        """Stop after the item in hand and keep the place. Raises InvalidTransition."""
        self._wish(PAUSE, verb="paused", by=by, reason=reason)

    def cancel(self, *, by: AbstractBaseUser | str = "", reason: str = "") -> None:
        """Stop after the item in hand, for good. Raises InvalidTransition."""
        self._wish(CANCEL, verb="cancelled", by=by, reason=reason)

    def resume(self, *, by: AbstractBaseUser | str = "", reason: str = "") -> None:
        """
        Go on from where the run stopped.

        Raises InvalidTransition, or AlreadyActive where another run took its place.
        """
        self._wish(RESUME, verb="resumed", by=by, reason=reason)

    def _wish(
        self,
        goals: Mapping[Status, Status],
        *,
        verb: str,
        by: AbstractBaseUser | str,
        reason: str,
    ) -> None:
        for _attempt in range(WISH_ATTEMPTS):
            self.refresh_from_db(using=home())
            status = Status(self.status)
            goal = goals.get(status)
            if goal is None:
                raise InvalidTransition(
                    f"{self} cannot be {verb}: its status is {status}."
                )
            if goal == status:
                return
            # Who resumes an interrupted run wants it not to wait any longer.
            due: dict[str, Any] = (
                {"run_after": None} if status is Status.INTERRUPTED else {}
            )
            move = partial(
                self.move_to, goal, sources=[status], actor=str(by), reason=reason
            )
            if through_deadlocks(home(), partial(move, **due)):
                return
        raise InvalidTransition(f"{self} is changing too fast to be {verb}; try again.")

    # Moves

    def move_to(
        self,
        target: Status,
        *,
        sources: Collection[Status] = tuple(Status),
        fence: Q = Q(),
        actor: str = "",
        reason: str = "",
        announce: Callable[[Event], object] = announce_on_commit,
        **changes: Any,
    ) -> bool:
        """
        Make a move of the table, if the database still agrees that the run can.

        The check and the move are one UPDATE: of two who move the run at once, one
        wins and the other is told by False. `sources` narrows the statuses that it
        may leave; `fence` names what else must hold, such as a worker's token.
        `announce` is given the event of the move, to tell of it behind the commit.
        """
        row = Run.objects.using(home()).filter(
            fence, pk=self.pk, status__in=sources_of(target, sources)
        )
        reason = storable(reason)
        changes |= {"status": target, "reason": reason} | _consequences(target)
        is_taken_up = target is Status.ENQUEUED and self.status == Status.ERRORED
        with writing(home()):
            if is_taken_up:
                moved = slots.take(
                    self, lambda key: row.update(active_key=key, **changes)
                )
            else:
                moved = row.update(**changes)
            if moved:
                # Only after the run's own row: the other order lets a person's wish
                # die in a deadlock on MariaDB.
                self.refresh_from_db(using=home())
                self._share_letters(is_taken_up=is_taken_up)
                event = self.note_move(actor=actor)
                if target in WAITING:
                    port.call_worker(self)
                announce(event)
        return bool(moved)

    def _share_letters(self, *, is_taken_up: bool) -> None:
        """Have a run that is over hold no dead letters, and give them back to it."""
        if self.parent_id is not None and self.status in ENDED:
            self.letters_in_hand.using(home()).let_go()
        elif self.parent_id is not None and is_taken_up:
            letters = self.letters_in_hand.using(home())
            self.total = self.reached + letters.take_back(behind=self.cursor)
            self.save(using=home(), update_fields=["total"])

    def note_move(self, *, actor: str, is_new: bool = True) -> Event:
        """
        Add to the story of the run that it has come into its status.

        `is_new` says that there is something to announce, if anybody listens.
        """
        is_announced = is_new and port.is_listened_to(self)
        event = Event.objects.using(home()).create(
            run=self,
            kind=Event.Kind.MOVE,
            status=self.status,
            text=self.reason,
            actor=storable(actor)[:255],
            source=here(),
            cursor=self.cursor if self.status in STOPS else None,
            announce_at=Now() + conf.LEASE if is_announced else None,
        )
        if is_announced:  # The moment, by the database's clock, is what is taken.
            event.refresh_from_db(using=home(), fields=["announce_at"])
        return event

    def keep_log(self, lines: list[str]) -> None:
        """Keep at once what was logged outside of a chunk, and empty the list."""
        if lines:
            row = Run.objects.using(home()).filter(pk=self.pk)
            row.update(logged=F("logged") + len(lines))
            self.tell(Event.Kind.LOG, *lines)
        self.logged += len(lines)
        lines.clear()

    def tell(self, kind: Event.Kind, *texts: str, **fields: Any) -> None:
        """Add to the story of the run."""
        Event.objects.using(home()).bulk_create(
            (
                Event(run=self, kind=kind, text=storable(text), **fields)
                for text in texts
            ),
            batch_size=LINES_AT_ONCE,
        )


def _consequences(target: Status) -> dict[str, Any]:
    """Return what else changes in the row when a run comes into a status."""
    changes: dict[str, Any] = {}
    if target not in HELD:
        # Whoever held it holds it no more, and messages on their way are stale.
        changes |= {"lease_token": new_token(), "lease_until": None, "worker": ""}
        changes |= {"message_id": "", "messages_sent": 0, "resend_at": None}
    if target not in UNDER_WAY:
        changes |= UNTHROTTLED
    if target in ENDED:
        changes |= {"ended_at": Now(), "active_key": None}
    if target is Status.ENQUEUED:
        changes |= {"ended_at": None, "workers_lost": 0}
        changes |= {"error_class": "", "error_message": "", "traceback": ""}
        changes |= {"error_at": ""}
    return changes
