"""What dead letters have in common, and whether it was told of."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from upkeep.conf import conf
from upkeep.databases import Now, home, through_deadlocks, writing

if TYPE_CHECKING:
    from upkeep.runs.dead_letters import DeadLetter

MAIL_EVERY = timedelta(hours=1)


class Cause(models.Model):
    """
    A fingerprint in one task or function, and when it was last seen and told of.

    There are such rows only where somebody wants to be told.
    """

    key = models.CharField(_("key"), max_length=64, unique=True)
    seen_at = models.DateTimeField(_("seen at"), null=True)
    mailed_at = models.DateTimeField(_("mailed at"), null=True)
    untold = models.PositiveBigIntegerField(default=0)  # Letters since that mail.

    class Meta:
        app_label = "upkeep"
        verbose_name = _("cause")
        verbose_name_plural = _("causes")
        indexes = [models.Index(fields=["seen_at"], name="upkeep_cause_seen")]

    def __str__(self) -> str:
        return self.key

    def note(self) -> bool:
        """Note that it was seen now; tell whether it is new, which one alone hears."""
        return through_deadlocks(home(), self._note)

    def take_mail(self) -> int:
        """Return of how many letters a mail is due, for one alone to send; 0: none."""
        return through_deadlocks(home(), self._take_mail)

    def _note(self) -> bool:
        rows = type(self).objects.using(home()).filter(pk=self.pk)
        change = {"seen_at": Now(), "untold": F("untold") + 1}
        unseen = Q(seen_at__isnull=True) | Q(seen_at__lt=Now() - conf.NEW_CAUSE_AFTER)
        if rows.filter(unseen).update(**change):
            return True
        rows.update(**change)
        return False

    def _take_mail(self) -> int:
        rows = type(self).objects.using(home()).filter(pk=self.pk)
        unmailed = Q(mailed_at__isnull=True) | Q(mailed_at__lt=Now() - MAIL_EVERY)
        with writing(home()):
            due = rows.select_for_update().filter(unmailed).first()
            if due is None:
                return 0
            rows.update(mailed_at=Now(), untold=0)
        return due.untold


def cause_of(letter: DeadLetter) -> Cause:
    """Return the cause of a dead letter, which is made if it was never seen."""
    key = sha256(f"{letter.place}\n{letter.fingerprint}".encode()).hexdigest()
    find = partial(Cause.objects.using(home()).get_or_create, key=key)
    cause, _is_made = through_deadlocks(home(), find)
    return cause


def forget_old_causes() -> int:
    """Delete the causes that would be new again; return how many."""
    longest = max(conf.NEW_CAUSE_AFTER, MAIL_EVERY)
    old = Cause.objects.using(home()).filter(seen_at__lt=Now() - longest)
    return old.delete()[0]
