"""
The queue of django-tasks-rq: Redis.

RQ ends a job that takes longer than its queue's `DEFAULT_TIMEOUT`, 180 s where
`RQ_QUEUES` says nothing, in the midst of an item. A run gives its worker back in time,
but where an item or a Job takes long, say `"DEFAULT_TIMEOUT": -1` there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import django_rq
from redis.exceptions import RedisError
from rq import Queue, Worker, get_current_job

from upkeep.dispatch.brokers import Broker

if TYPE_CHECKING:
    from rq.job import Job

    from upkeep.execution.interruption import Interruption

ASK_EVERY = timedelta(seconds=1)


class RQBroker(Broker):
    """Messages are jobs of RQ, which forgets them by itself when they are over."""

    has_worker = True

    def holds(self, message_id: str) -> bool:
        """Tell whether the message still waits in one of the queues."""
        return any(
            _lies_in(django_rq.get_queue(name), message_id)
            for name in self.backend.queues
        )

    def worker_command(self, queues: Sequence[str]) -> list[str]:
        """Return the command of a worker that sends deferred messages as well."""
        return [
            "rqworker",
            *(queues or sorted(self.backend.queues)),
            "--job-class=django_tasks_rq.Job",
            "--with-scheduler",
        ]

    @contextmanager
    def listening(self, interruption: Interruption) -> Iterator[None]:
        """
        Have the worker's wish to stop reach the run, which is in a process of its own.

        RQ tells that process nothing when its worker is told to stop: the worker notes
        it in Redis and waits. So a thread looks there.
        """
        job = get_current_job()
        with super().listening(interruption):
            if job is None:
                yield
            else:
                with _asking(job, interruption):
                    yield


def _lies_in(queue: Queue, message_id: str) -> bool:
    return (
        queue.get_job_position(message_id) is not None
        or message_id in queue.scheduled_job_registry
    )


@contextmanager
def _asking(job: Job, interruption: Interruption) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(
        target=_ask, args=[job, interruption, over], name="upkeep-rq", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _ask(job: Job, interruption: Interruption, over: threading.Event) -> None:
    while not over.wait(ASK_EVERY.total_seconds()):
        try:
            if _is_told_to_stop(job):
                interruption.ask_to_stop("Its worker was told to stop.")
        except RedisError:
            continue  # The run can do without Redis, and so can we.


def _is_told_to_stop(job: Job) -> bool:
    worker = f"{Worker.redis_worker_namespace_prefix}{job.worker_name}"
    return bool(job.connection.hexists(worker, "shutdown_requested_date"))
