"""What travels through the queue: an id and a token, safely beside the row."""

import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from tests.dispatch.queue import messages as waiting
from tests.runs.stages import claim, run_in
from tests.testapp.maintenance import CountUp, ImportItems, Numbers
from tests.testapp.models import Effect
from upkeep.compat import DjangoTask, task_backends
from upkeep.conf import conf
from upkeep.dispatch import messages
from upkeep.dispatch.brokers import Broker
from upkeep.exceptions import QueueRefused
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.base import Task

DATABASE = "django_tasks_db.DatabaseBackend"
DUMMY = f"{DjangoTask.__module__.split('.base')[0]}.backends.dummy.DummyBackend"


def until(moment: datetime | None) -> timedelta:
    assert moment is not None
    return moment - timezone.now()


@pytest.mark.django_db
class TestMessage:
    def test_bears_the_id_and_the_token_and_nothing_else(self) -> None:
        run = CountUp.enqueue()
        assert waiting() == [[run.pk, run.lease_token]]
        assert DBTaskResult.objects.get().args_kwargs["kwargs"] == {}

    def test_can_wait_where_its_backend_serves_that(self, settings: Settings) -> None:
        run = CountUp.enqueue()
        assert messages.defers(run)
        settings.TASKS = {
            "default": {"BACKEND": DUMMY.replace("dummy.Dummy", "immediate.Immediate")}
        }
        assert not messages.defers(run)
        run.backend = "gone"
        assert not messages.defers(run)

    def test_is_known_to_its_run(self) -> None:
        run = CountUp.enqueue()
        assert run.message_id == str(DBTaskResult.objects.get().pk)

    def test_lies_in_the_queue_under_a_path_that_does_not_move(self) -> None:
        CountUp.enqueue()
        message = DBTaskResult.objects.get()
        assert message.task_path == "upkeep.dispatch.messages.advance" == messages.PATH

    def test_is_found_by_a_worker_and_advances_the_run(self) -> None:
        run = Numbers.enqueue()
        message = DBTaskResult.objects.get()
        message.task.call(*message.args_kwargs["args"])
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.SUCCEEDED, 7)

    def test_that_comes_twice_does_nothing(self) -> None:
        run = Numbers.enqueue()
        for _ in range(2):
            import_string(messages.PATH).call(run.pk, run.lease_token)
        assert Effect.objects.count() == 7
        run.refresh_from_db()
        assert run.attempts == 1

    def test_of_a_run_that_was_deleted_does_nothing(self) -> None:
        import_string(messages.PATH).call(4711, "token")

    @pytest.mark.parametrize(
        "status", sorted(set(Status) - {Status.ENQUEUED, Status.INTERRUPTED})
    )
    def test_of_a_run_that_waits_no_longer_does_nothing(self, status: Status) -> None:
        run = run_in(status, CountUp)
        import_string(messages.PATH).call(run.pk, run.lease_token)
        assert Run.objects.get(pk=run.pk).status == status

    def test_goes_where_the_run_wants_it(self) -> None:
        CountUp.using(queue="low", priority=-10).enqueue()
        message = DBTaskResult.objects.get()
        assert (message.queue_name, message.priority) == ("low", -10)


@pytest.mark.django_db
class TestDeferred:
    def test_does_not_come_before_its_moment(self) -> None:
        """Nor in the part of a second that some queues cut off: it would be stale."""
        moment = timezone.now() + timedelta(hours=1)
        run = CountUp.using(run_after=moment).enqueue()
        late = DBTaskResult.objects.get().run_after - moment
        assert timedelta(0) < late <= timedelta(seconds=1)
        assert run.run_after == moment

    def test_is_missed_a_lease_after_its_moment(self) -> None:
        moment = timezone.now() + timedelta(hours=1)
        run = CountUp.using(run_after=moment).enqueue()
        late = until(run.resend_at) - timedelta(hours=1)
        assert conf.LEASE - timedelta(seconds=5) < late
        assert late < conf.LEASE + timedelta(seconds=5)

    def test_that_is_due_is_sent_at_once_and_missed_a_lease_from_now(self) -> None:
        run = CountUp.using(run_after=timezone.now() - timedelta(days=1)).enqueue()
        assert DBTaskResult.objects.ready().count() == 1
        assert until(run.resend_at) > conf.LEASE - timedelta(seconds=5)
        claim(run)


@pytest.mark.django_db(transaction=True)
class TestSameDatabase:
    """Row and message are written together, or not at all."""

    def test_a_rollback_takes_both(self) -> None:
        with transaction.atomic():
            CountUp.enqueue()
            assert len(waiting()) == 1
            transaction.set_rollback(True)
        assert not waiting()
        assert not Run.objects.exists()

    def test_a_commit_brings_both(self) -> None:
        with transaction.atomic():
            run = CountUp.enqueue()
        assert waiting() == [[run.pk, run.lease_token]]

    def test_where_the_message_cannot_be_written_there_is_no_row(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(messages, "_send", failing)
        with pytest.raises(OSError, match="down"):
            CountUp.enqueue()
        assert not Run.objects.exists()

    def test_a_move_that_wants_a_worker_does_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = run_in(Status.PAUSED)
        monkeypatch.setattr(messages, "_send", failing)
        with pytest.raises(OSError, match="down"):
            run.resume()
        assert Run.objects.get(pk=run.pk).status == Status.PAUSED


@pytest.mark.django_db(transaction=True)
class TestQueueElsewhere:
    """The message is sent once the row is committed, and the sweep is the net."""

    @pytest.fixture(autouse=True)
    def elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            messages, "broker", lambda alias: Broker(task_backends[alias])
        )

    def test_is_told_after_the_commit(self) -> None:
        with transaction.atomic():
            CountUp.enqueue()
            assert not waiting()
        assert len(waiting()) == 1

    def test_is_not_told_of_what_was_rolled_back(self) -> None:
        with transaction.atomic():
            CountUp.enqueue()
            transaction.set_rollback(True)
        assert not waiting()

    def test_that_is_down_leaves_the_run_to_the_sweep(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(messages, "_send", failing)
        run = CountUp.enqueue()
        assert (run.status, run.message_id) == (Status.ENQUEUED, "")
        assert until(run.resend_at) < conf.LEASE


def failing(run: Run) -> None:
    raise OSError("The queue is down.")


@pytest.mark.django_db
class TestRefusal:
    """What the queue does not serve is refused before there is a row, or a file."""

    @pytest.fixture(autouse=True)
    def two_queues(self, settings: Settings) -> None:
        settings.TASKS = {
            "default": {"BACKEND": DATABASE, "QUEUES": ["default", "low"]},
            "dummy": {"BACKEND": DUMMY},
        }

    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [
            (
                {"queue": "high"},
                r"TASKS\['default'\] has no queue 'high'.*default, low",
            ),
            ({"priority": 101}, r"TASKS\['default'\] refuses this run: priority"),
            ({"run_after": datetime(2040, 1, 1)}, "refuses this run: .*aware"),  # noqa: DTZ001
            ({"backend": "celery"}, "TASKS has no backend 'celery'.*: default, dummy"),
        ],
    )
    def test_names_the_setting_and_what_was_asked_for(
        self, wanted: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(QueueRefused, match=sentence):
            CountUp.using(**wanted).enqueue()
        assert not Run.objects.exists()

    def test_comes_before_the_parameters_are_looked_at(self) -> None:
        with pytest.raises(QueueRefused):
            ImportItems.using(queue="high").enqueue(csv_file="no file")

    def test_of_the_class_is_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Task, "queue", "high")
        with pytest.raises(QueueRefused, match="no queue 'high'"):
            CountUp.enqueue()

    def test_leaves_alone_what_is_served(self) -> None:
        assert CountUp.using(queue="low", priority=100).enqueue().queue == "low"


class TestImport:
    """A worker, or a page, must be able to import us whatever TASKS says."""

    @pytest.mark.parametrize(
        "tasks",
        [
            {"default": {"BACKEND": DATABASE, "QUEUES": ["a", "b"]}},
            {"other": {"BACKEND": DATABASE, "QUEUES": ["a"]}},
            {"other": {"BACKEND": DATABASE, "QUEUES": []}},
            {"default": {"BACKEND": DUMMY}},
        ],
    )
    def test_works_without_a_queue_named_default(
        self, settings: Settings, tasks: dict[str, Any]
    ) -> None:
        settings.TASKS = tasks
        found = import_string(messages.PATH)
        assert isinstance(found, DjangoTask)
        assert found.module_path == messages.PATH

    def test_works_in_a_process_of_its_own(self) -> None:
        code = (
            "import tests.settings as s, django;"
            "s.TASKS = {'x': {'BACKEND': 'django_tasks_db.DatabaseBackend',"
            " 'QUEUES': ['y']}};"
            "django.setup();"
            "import upkeep.dispatch.messages"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)

    def test_of_another_name_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'advanced'"):
            messages.advanced  # noqa: B018
