"""django-tasks-rq, and its `rqworker`, on a real Redis."""

import os
import signal
from contextlib import AbstractContextManager
from unittest import mock

import pytest
from django.db import transaction
from pytest_django import Settings
from redis import Connection, Redis
from redis.exceptions import ConnectionError as RedisIsAway

from tests.backends.contract import Contract
from tests.testapp.maintenance import Numbers
from upkeep.databases import Now
from upkeep.dispatch.brokers import broker
from upkeep.dispatch.recovery import sweep
from upkeep.dispatch.supervisor import worker_commands
from upkeep.exceptions import QueueRefused
from upkeep.execution.interruption import Interruption
from upkeep.runs.models import Run
from upkeep.runs.status import Status


@pytest.fixture(autouse=True)
def redis(redis_url: str, settings: Settings) -> Redis:
    """Have this process send its messages to a Redis that is empty."""
    settings.RQ_QUEUES = {"default": {"URL": redis_url}}
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": []},
    }
    empty = Redis.from_url(redis_url)
    empty.flushall()
    return empty


class TestRQ(Contract):
    settings_module = "tests.settings_rq"

    def lose_messages(self) -> None:
        Redis.from_url(os.environ["UPKEEP_TEST_REDIS"]).flushall()


@pytest.mark.django_db(transaction=True)
class TestRefusal:
    def test_of_a_priority_comes_before_the_row(self) -> None:
        with pytest.raises(QueueRefused, match=r"refuses this run: .*priority"):
            Numbers.using(priority=10).enqueue()
        assert not Run.objects.exists()

    def test_of_a_queue_that_rq_does_not_have_comes_before_the_row(self) -> None:
        with pytest.raises(QueueRefused, match="queue 'low'"):
            Numbers.using(queue="low").enqueue()
        assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestMessage:
    def test_is_sent_when_the_row_is_committed(self, redis: Redis) -> None:
        with transaction.atomic():
            Numbers.enqueue()
            assert not redis.llen("rq:queue:default")
        assert redis.llen("rq:queue:default") == 1

    def test_of_a_run_that_is_rolled_back_is_never_sent(self, redis: Redis) -> None:
        with transaction.atomic():
            Numbers.enqueue()
            transaction.set_rollback(True)
        assert not redis.keys("rq:job:*")

    def test_whose_place_in_the_queue_is_gone_is_lost(self, redis: Redis) -> None:
        """RQ still knows the job, and calls it queued, and will never run it."""
        run = Numbers.enqueue()
        redis.delete("rq:queue:default")
        assert not broker("default").holds(run.message_id)


@pytest.mark.django_db(transaction=True)
class TestRedisAway:
    """A run is written all the same, and goes on when Redis is back."""

    def test_keeps_no_run_from_being_enqueued_or_sent_later(self) -> None:
        with away():
            run = Numbers.enqueue()
            assert (run.status, run.message_id) == (Status.ENQUEUED, "")
            Run.objects.update(resend_at=Now())
            sweep()
        Run.objects.update(resend_at=Now())
        assert sweep().sent_again == 1
        run.refresh_from_db()
        assert broker("default").holds(run.message_id)


def away() -> AbstractContextManager[object]:
    return mock.patch.object(
        Connection, "connect", side_effect=RedisIsAway("Nobody answers.")
    )


class TestWorker:
    def test_serves_the_queues_that_are_named(self) -> None:
        command = ["rqworker", "--job-class=django_tasks_rq.Job", "--with-scheduler"]
        assert [sorted(one) for one in worker_commands(["default"])] == [
            sorted([*command, "default"])
        ]


class TestListening:
    def test_outside_of_a_worker_of_rq_hears_signals_only(self) -> None:
        interruption, heard = Interruption(), list[int]()
        before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
        try:
            with broker("default").listening(interruption):
                os.kill(os.getpid(), signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)
        assert "SIGTERM" in interruption.reason()
        assert heard == [signal.SIGTERM]
