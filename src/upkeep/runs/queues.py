"""When a worker last took a message from which queue: whether workers are there."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import DatabaseError, models
from django.utils.translation import gettext_lazy as _

from upkeep.databases import Now, home

logger = logging.getLogger("upkeep")

# A write for each message would be a load of its own where messages are many.
NOTE_EVERY = timedelta(seconds=2)


class Queue(models.Model):
    """A queue of a backend, as far as a worker of it was ever seen."""

    backend = models.CharField(_("backend"), max_length=64)
    name = models.CharField(_("name"), max_length=64)
    taken_at = models.DateTimeField(_("taken at"))

    class Meta:
        app_label = "upkeep"
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        constraints = [
            models.UniqueConstraint(
                fields=["backend", "name"], name="upkeep_queue_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.backend}"


def note_taken(backend: str, name: str) -> None:
    """Note that a worker has just taken a message; a note that fails stops nobody."""
    queues = Queue.objects.using(home())
    known = queues.filter(backend=backend, name=name)
    try:
        if known.filter(taken_at__lt=Now() - NOTE_EVERY).update(taken_at=Now()):
            return
        if not known.exists():
            queues.bulk_create(
                [Queue(backend=backend, name=name, taken_at=Now())],
                ignore_conflicts=True,
            )
    except DatabaseError:
        logger.warning("Queue %s of %s was not noted.", name, backend, exc_info=True)
