"""The laws that every backend passes, on the real service and with its own worker."""

import os
import signal
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from django.utils import timezone

from tests.testapp import calls
from tests.testapp.calls import PaymentError, pay, pay_later
from tests.testapp.maintenance import InTurns, Numbers, Slowly
from tests.testapp.models import Effect
from upkeep.databases import Now
from upkeep.dispatch.brokers import broker
from upkeep.dispatch.recovery import sweep
from upkeep.dispatch.supervisor import worker_commands
from upkeep.models import DeadLetter
from upkeep.runs.models import Run
from upkeep.runs.status import Status

Start = Callable[[], subprocess.Popen[bytes]]

PATIENCE = 30.0  # seconds


def wait_until(run: Run, condition: Callable[[Run], bool]) -> None:
    """Wait until a condition holds of the run as it is stored."""
    deadline = monotonic() + PATIENCE
    while not condition(run):
        assert monotonic() < deadline, f"{run} is {run.status}: {run.reason}"
        sleep(0.05)
        run.refresh_from_db()


def wait_for(run: Run, status: Status) -> None:
    wait_until(run, lambda run: run.status == status)


def assert_each_once(numbers: int) -> None:
    assert sorted(Effect.objects.values_list("item", flat=True)) == [*range(numbers)]


@pytest.mark.django_db(transaction=True)
class Contract:
    """Inherit from this, and say how to begin anew and where the settings are."""

    settings_module: str

    @abstractmethod
    def lose_messages(self) -> None:
        """Empty the queue."""

    @pytest.fixture
    def worker(self, tmp_path: Path) -> Iterator[Start]:
        """Start workers as `upkeep worker` does; they end with the test."""
        started: list[subprocess.Popen[bytes]] = []
        (command,) = worker_commands()

        def start() -> subprocess.Popen[bytes]:
            with (tmp_path / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "django", *command],
                    env=os.environ | {"DJANGO_SETTINGS_MODULE": self.settings_module},
                    stdout=log,
                    stderr=log,
                )
            started.append(process)
            return process

        yield start
        for process in started:
            self.stop(process)
        sys.stderr.write((tmp_path / "worker.log").read_text() if started else "")

    def stop(self, worker: subprocess.Popen[bytes]) -> None:
        """Tell a worker to stop, and see it end inside ten seconds."""
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(timeout=10)
        finally:
            worker.kill()
            worker.wait()

    # The laws

    def test_a_run_is_advanced_by_the_worker(self, worker: Start) -> None:
        run = Numbers.enqueue()
        worker()
        wait_for(run, Status.SUCCEEDED)
        assert (run.done, run.attempts) == (7, 1)

    def test_a_run_whose_time_is_up_goes_on_with_the_next_message(
        self, worker: Start
    ) -> None:
        run = InTurns.enqueue(numbers=20)
        worker()
        wait_for(run, Status.SUCCEEDED)
        assert run.attempts > 1
        assert_each_once(20)

    def test_a_worker_that_is_told_to_stop_leaves_its_run_to_another(
        self, worker: Start
    ) -> None:
        run = Slowly.enqueue(numbers=60)
        first = worker()
        wait_until(run, lambda run: run.done > 0)
        self.stop(first)
        run.refresh_from_db()
        assert run.status == Status.INTERRUPTED
        assert run.reason.startswith("Its worker was told to stop")
        assert 0 < run.done < 60
        worker()
        wait_for(run, Status.SUCCEEDED)
        assert run.attempts == 2
        assert_each_once(60)

    def test_a_wish_reaches_the_worker_and_a_resumed_run_goes_on(
        self, worker: Start
    ) -> None:
        run = Slowly.enqueue(numbers=40)
        worker()
        wait_until(run, lambda run: run.done > 0)
        run.pause()
        wait_for(run, Status.PAUSED)
        assert 0 < run.done < 40
        run.resume()
        wait_for(run, Status.SUCCEEDED)
        assert_each_once(40)

    @pytest.mark.parametrize("call", [pay, pay_later])
    def test_a_call_that_failed_is_made_again_by_the_worker(
        self, worker: Start, call: Any
    ) -> None:
        calls.answers.append(PaymentError("refused"))
        with suppress(PaymentError):
            getattr(call, "func", call)(7)
        letter = DeadLetter.objects.get()
        letter.retry()
        worker()
        deadline = monotonic() + PATIENCE
        while letter.state == DeadLetter.State.RETRYING and monotonic() < deadline:
            sleep(0.05)
            letter.refresh_from_db()
        assert (letter.state, letter.error_message) == ("resolved", "refused")
        assert Effect.objects.get().item == 7

    def test_a_lost_message_is_sent_again(self, worker: Start) -> None:
        run = Numbers.enqueue()
        self.lose_messages()
        Run.objects.update(resend_at=Now() - timedelta(seconds=1))
        assert sweep().sent_again == 1
        worker()
        wait_for(run, Status.SUCCEEDED)

    def test_a_deferred_run_begins_at_its_moment(self, worker: Start) -> None:
        moment = timezone.now() + timedelta(seconds=2)
        run = Numbers.using(run_after=moment).enqueue()
        worker()
        wait_for(run, Status.SUCCEEDED)
        assert run.started_at is not None
        assert moment <= run.started_at < moment + timedelta(seconds=15)

    def test_a_message_is_held_until_it_is_read_or_lost(self, worker: Start) -> None:
        run, later = Numbers.enqueue(), deferred()
        one = broker("default")
        assert one.holds(run.message_id)
        assert one.holds(later.message_id)
        worker()
        wait_for(run, Status.SUCCEEDED)
        assert not one.holds(run.message_id)
        assert one.holds(later.message_id)
        self.lose_messages()
        assert not one.holds(later.message_id)

    @pytest.mark.parametrize("unknown", ["", "nobody's", "0" * 32])
    def test_a_message_that_is_unknown_is_not_held(self, unknown: str) -> None:
        assert not broker("default").holds(unknown)

    def test_a_message_that_only_waits_is_not_sent_again(self) -> None:
        Numbers.enqueue()
        Run.objects.update(resend_at=Now() - timedelta(seconds=1))
        assert sweep().sent_again == 0


def deferred() -> Run:
    run = Numbers.using(run_after=timezone.now() + timedelta(hours=1)).enqueue()
    assert run.message_id
    return run
