"""The queue of django-tasks-db: a table, by default beside our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult, DBTaskResultQuerySet

from upkeep.compat import TaskResultStatus
from upkeep.dispatch import calls, messages
from upkeep.dispatch.brokers import Broker

OURS = [messages.PATH, calls.PATH]

# How long a message that is over stays, for those who want to see it.
KEEP = timedelta(hours=1)
PRUNE_AT_MOST = 1000


class DatabaseBroker(Broker):
    """Messages are rows: they can be written in the transaction of the run's row."""

    has_worker = True

    def writes_to(self) -> str:
        return router.db_for_write(DBTaskResult)

    def holds(self, message_id: str) -> bool:
        try:
            # A row that is locked was taken by a worker, which may have frozen.
            with transaction.atomic(using=self.writes_to()):
                return bool(
                    self._waiting(message_id).select_for_update(skip_locked=True)
                )
        except ValidationError:  # It is no id of this queue.
            return False

    def worker_command(self, queues: Sequence[str]) -> list[str]:
        # Reloading would run our messages in a thread, where no signal arrives.
        return [
            "db_worker",
            "--no-reload",
            "--no-startup-delay",
            f"--backend={self.backend.alias}",
            f"--queue-name={','.join(queues) or '*'}",
        ]

    def over(self) -> int:
        return self._over().count()

    def prune(self) -> int:
        ids = list(self._over().values_list("pk", flat=True)[:PRUNE_AT_MOST])
        return self._messages().filter(pk__in=ids).delete()[0]

    def _over(self) -> DBTaskResultQuerySet:
        over = self._messages().finished().order_by()
        return over.filter(task_path__in=OURS, finished_at__lt=timezone.now() - KEEP)

    def _waiting(self, message_id: str) -> DBTaskResultQuerySet:
        return self._messages().filter(pk=message_id, status=TaskResultStatus.READY)

    def _messages(self) -> DBTaskResultQuerySet:
        """Return the messages where they are written: a replica may lag behind."""
        return DBTaskResult.objects.using(self.writes_to())
