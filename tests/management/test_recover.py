"""`upkeep recover` sees that runs go on whose worker died or whose message is lost."""

import signal
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tests.dispatch.queue import lose_messages, messages
from tests.management.commands import next_line, upkeep, wait_until
from tests.management.conftest import Start
from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from upkeep.management.exits import Failed
from upkeep.management.verbs import recover
from upkeep.models import Run
from upkeep.runs.status import Status


def in_the_past() -> datetime:
    return timezone.now() - timedelta(minutes=5)


@pytest.mark.django_db
def test_tells_what_it_did() -> None:
    run_in(Status.RUNNING)
    Run.objects.update(lease_until=in_the_past())
    outcome = upkeep("recover")
    assert outcome.status == 0
    assert "1 abandoned run taken over" in outcome.out
    assert Run.objects.get().status == Status.INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_loops_until_told_to_stop(start: Start, number: signal.Signals) -> None:
    process = start("recover", "--loop")
    assert next_line(process).startswith("0 abandoned")
    assert "Watching" in next_line(process)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_finds_in_the_loop_what_is_lost_later(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPKEEP_TEST_LEASE", "0.4")
    process = start("recover", "--loop")
    next_line(process)
    Numbers.enqueue()
    lose_messages()
    Run.objects.update(resend_at=in_the_past())
    wait_until(messages)


@pytest.mark.django_db
def test_says_so_when_the_watcher_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "watch", lambda stop: None)
    outcome = upkeep("recover", "--loop")
    assert outcome.status == Failed.status
    assert "The watcher died" in outcome.err
