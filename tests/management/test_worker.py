"""`upkeep worker` starts workers for the queues of the project."""

import logging
import signal

import pytest
from pytest_django import Settings

from tests.management.commands import next_line, upkeep, wait_until
from tests.management.conftest import Start
from tests.testapp.maintenance import Numbers
from upkeep.dispatch.supervisor import Supervisor
from upkeep.models import Run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Supervisor]:
    """Return the supervisors that were to run; none of them does."""
    supervisors: list[Supervisor] = []

    def run(self: Supervisor) -> None:
        supervisors.append(self)

    monkeypatch.setattr(Supervisor, "run", run)
    return supervisors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_works_until_told_to_stop(start: Start, number: signal.Signals) -> None:
    process = start("worker")
    first = next_line(process)
    Numbers.enqueue()
    wait_until(lambda: Run.objects.get().status == "succeeded")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert first == "Starting 1 worker for all queues. Stop with Ctrl-C.\n"
    assert process.returncode == 0
    assert "started: db_worker" in err


@pytest.mark.django_db
def test_starts_as_many_as_wanted_for_the_queues_wanted(
    started: list[Supervisor],
) -> None:
    outcome = upkeep("worker", "--workers", 3, "--queues", "low, high")
    assert outcome.out == "Starting 3 workers for low, high. Stop with Ctrl-C.\n"
    commands = [worker.command for worker in started[0].workers]
    assert len(commands) == 3
    assert "--queue-name=low,high" in commands[0]


def test_is_refused_for_a_queue_that_nobody_serves(
    started: list[Supervisor], settings: Settings
) -> None:
    settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": ["default"]}}
    outcome = upkeep("worker", "--queues", "nowhere")
    assert outcome.status == 3
    assert "nowhere" in outcome.err
    assert not started


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_needs_a_number_of_workers(started: list[Supervisor], number: str) -> None:
    assert "Say how many: 1 or more." in upkeep("worker", f"--workers={number}").err


@pytest.mark.django_db
def test_leaves_the_log_to_a_project_that_keeps_one(started: list[Supervisor]) -> None:
    logger = logging.getLogger("upkeep")
    before = list(logger.handlers)
    upkeep("worker")
    assert logger.hasHandlers()  # Those of pytest.
    assert logger.handlers == before
