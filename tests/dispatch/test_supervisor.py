"""Workers are kept alive, and end when they are told to."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from unittest import mock

import pytest
from pytest_django import Settings

from upkeep.compat import DjangoTask
from upkeep.dispatch import recovery, supervisor
from upkeep.dispatch.recovery import Swept
from upkeep.dispatch.supervisor import Supervisor, Worker, worker_commands
from upkeep.exceptions import QueueRefused

DATABASE = "django_tasks_db.DatabaseBackend"
DUMMY = f"{DjangoTask.__module__.split('.base')[0]}.backends.dummy.DummyBackend"

SUPERVISE = """
import sys, django
django.setup()
from upkeep.dispatch.recovery import Swept
from upkeep.dispatch.supervisor import Supervisor
Supervisor([["shell", "--no-imports", "-c", sys.argv[1]]], workers=2).run()
"""

# Both sign in by their process id. The first ends when it is told to, the second when
# it is told twice.
DOCILE = """
import os, pathlib, time
pathlib.Path({folder!r}, str(os.getpid())).touch()
time.sleep(60)
"""
STUBBORN = """
import os, pathlib, signal, sys, time
told = []
def hear(number, frame):
    told.append(number)
    pathlib.Path({folder!r}, f"told-{{os.getpid()}}-{{len(told)}}").touch()
    if len(told) == 2:
        sys.exit(1)
signal.signal(signal.SIGTERM, hear)
pathlib.Path({folder!r}, str(os.getpid())).touch()
time.sleep(60)
"""


class Supervised:
    """A supervisor in a process of its own, with two workers that sign in."""

    def __init__(self, worker: str, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, worker.format(folder=str(folder))],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
            start_new_session=True,
        )

    @property
    def workers(self) -> set[int]:
        names = [path.name for path in self.folder.iterdir()]
        return {int(name) for name in names if name.isdigit()}

    def told(self) -> int:
        return len(list(self.folder.glob("told-*")))

    def alive(self) -> set[int]:
        return {worker for worker in self.workers if is_alive(worker)}

    def end(self) -> None:
        for worker in self.alive():
            os.kill(worker, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "It did not happen in time."
        sleep(0.02)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[str], Supervised]]:
    started: list[Supervised] = []

    def start(worker: str) -> Supervised:
        one = Supervised(worker, tmp_path)
        started.append(one)
        wait_for(lambda: len(one.workers) == 2)
        return one

    yield start
    for one in started:
        one.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
class TestStop:
    def test_reaches_all_workers_and_waits_for_them(
        self, supervise: Callable[[str], Supervised], number: signal.Signals
    ) -> None:
        one = supervise(DOCILE)
        one.process.send_signal(number)
        assert one.process.wait(timeout=10) == 0
        assert not one.alive()


class TestSupervisorItself:
    def test_takes_its_workers_along_when_it_is_killed(
        self, supervise: Callable[[str], Supervised]
    ) -> None:
        """Nobody would watch over the runs, or stop the workers at the next deploy."""
        if sys.platform != "linux":
            pytest.skip("by design: only Linux tells a process that its parent died")
        one = supervise(DOCILE)
        one.process.kill()
        wait_for(lambda: not one.alive())

    @pytest.mark.skipif(
        sys.platform != "linux",
        reason="by design: only Linux tells a process that its parent died",
    )
    def test_is_mourned_once(self, supervise: Callable[[str], Supervised]) -> None:
        """It has threads, and the kernel tells its children of the death of each."""
        for _ in range(5):
            one = supervise(STUBBORN)
            one.process.kill()
            one.process.wait()
            wait_for(lambda: one.told() == 2)  # noqa: B023 - called here
            sleep(0.1)  # Nothing more shall come in this time.
            assert one.told() == 2
            assert len(one.alive()) == 2
            one.end()
            for path in one.folder.iterdir():
                path.unlink()


@contextmanager
def hearing_of_it(handler: signal.Handlers) -> Iterator[None]:
    """Have processes started that stop when their terminal closes, or do not."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class TestTerminal:
    def test_that_closes_stops_it(self, supervise: Callable[[str], Supervised]) -> None:
        with hearing_of_it(signal.SIG_DFL):
            one = supervise(DOCILE)
        one.process.send_signal(signal.SIGHUP)
        assert one.process.wait(timeout=10) == 0
        assert not one.alive()

    def test_that_closes_is_nothing_to_one_that_nohup_started(
        self, supervise: Callable[[str], Supervised]
    ) -> None:
        with hearing_of_it(signal.SIG_IGN):
            one = supervise(DOCILE)
        one.process.send_signal(signal.SIGHUP)
        sleep(0.5)  # Nothing shall happen in this time.
        assert one.process.poll() is None
        assert len(one.alive()) == 2


class TestRestart:
    def test_follows_on_a_death_and_leaves_the_others_alone(
        self, supervise: Callable[[str], Supervised]
    ) -> None:
        one = supervise(DOCILE)
        killed, other = one.workers
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: len(one.workers) == 3)
        assert other in one.alive()
        assert len(one.alive()) == 2

    def test_does_not_follow_when_they_were_told_to_stop(
        self, supervise: Callable[[str], Supervised]
    ) -> None:
        one = supervise(STUBBORN)
        first, second = one.workers
        one.process.send_signal(signal.SIGTERM)
        wait_for(lambda: one.told() == 2)
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        assert one.process.wait(timeout=10) == 0
        assert one.workers == {first, second}


class TestSecondSignal:
    def test_is_passed_on_as_well(self, supervise: Callable[[str], Supervised]) -> None:
        one = supervise(STUBBORN)
        one.process.send_signal(signal.SIGTERM)
        wait_for(lambda: one.told() == 2)
        assert one.process.poll() is None
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(timeout=10) == 0
        assert one.told() == 4

    def test_is_not_what_a_worker_hears_that_was_told_once(
        self, supervise: Callable[[str], Supervised]
    ) -> None:
        one = supervise(STUBBORN)
        one.process.send_signal(signal.SIGTERM)
        wait_for(lambda: one.told() == 2)
        sleep(0.5)  # Nothing more shall come in this time.
        assert one.told() == 2
        assert len(one.alive()) == 2


class TestBirth:
    def test_under_way_when_the_signal_comes_is_heard_of(self) -> None:
        """Otherwise nobody would tell that worker, and it would be waited for."""
        worker = mock.Mock(poll=lambda: None)

        def bear(*args: Any, **kwargs: Any) -> Any:
            os.kill(os.getpid(), signal.SIGTERM)
            return worker

        with (
            mock.patch.object(subprocess, "Popen", bear),
            mock.patch.object(supervisor, "watch"),
        ):
            Supervisor([["db_worker"]]).run()
        worker.send_signal.assert_called_once_with(signal.SIGTERM)
        worker.wait.assert_called_once_with()


class TestWatcher:
    def test_sweeps_beside_the_workers(self, settings: Settings) -> None:
        settings.UPKEEP = {"LEASE": timedelta(seconds=0.02)}
        has_swept, looks = threading.Event(), itertools.count()

        def look(self: Worker) -> None:
            if has_swept.is_set() or next(looks) == 25:
                os.kill(os.getpid(), signal.SIGTERM)

        def rescue() -> Swept:
            has_swept.set()
            return Swept()

        with (
            mock.patch.object(Worker, "keep_alive", look),
            mock.patch.object(recovery, "_rescue_in_silence", rescue),
            mock.patch.object(recovery, "_tidy"),
        ):
            Supervisor([["db_worker"]]).run()
        assert has_swept.is_set()


class TestWaits:
    """A worker that dies at once is started at longer and longer intervals."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [1000.0]
        monkeypatch.setattr(supervisor, "monotonic", lambda: now[0])
        return now

    def starts(self, clock: list[float], *, lifetime: float, seconds: int) -> list[int]:
        """Return the seconds at which a worker was started that lives so long."""
        worker, starts = Worker(["db_worker"]), list[int]()

        def start(*args: Any, **kwargs: Any) -> Any:
            starts.append(int(clock[0]) - 1000)
            born = clock[0]
            poll = lambda: 1 if clock[0] - born >= lifetime else None  # noqa: E731
            return mock.Mock(poll=poll, returncode=1)

        with mock.patch.object(subprocess, "Popen", start):
            for _ in range(seconds):
                worker.keep_alive()
                clock[0] += 1
        return starts

    def test_grow_to_half_a_minute(self, clock: list[float]) -> None:
        starts = self.starts(clock, lifetime=0.5, seconds=130)
        gaps = [later - one for one, later in pairwise(starts)]
        assert gaps == [2, 3, 5, 9, 17, 31, 31, 31]

    def test_are_short_again_after_a_steady_life(self, clock: list[float]) -> None:
        starts = self.starts(clock, lifetime=15, seconds=70)
        gaps = [later - one for one, later in pairwise(starts)]
        assert gaps == [16, 16, 16, 16]


class TestCommands:
    def test_serve_all_queues_where_none_is_named(self) -> None:
        (command,) = worker_commands()
        assert command[0] == "db_worker"
        assert "--queue-name=*" in command

    def test_never_reload(self) -> None:
        assert "--no-reload" in worker_commands()[0]

    def test_serve_the_queues_that_are_named(self) -> None:
        assert "--queue-name=low,high" in worker_commands(["low", "high"])[0]

    def test_are_for_each_backend_that_has_workers(self, settings: Settings) -> None:
        settings.TASKS = {
            "default": {"BACKEND": DATABASE, "QUEUES": ["a"]},
            "second": {"BACKEND": DATABASE, "QUEUES": ["b"]},
            "dummy": {"BACKEND": DUMMY},
        }
        assert [command[3:] for command in worker_commands()] == [
            ["--backend=default", "--queue-name=*"],
            ["--backend=second", "--queue-name=*"],
        ]
        assert [command[3:] for command in worker_commands(["b"])] == [
            ["--backend=second", "--queue-name=b"]
        ]
        refusal = r"No backend of TASKS serves c\. They serve a, b\."
        with pytest.raises(QueueRefused, match=refusal):
            worker_commands(["c"])

    def test_for_a_backend_that_we_do_not_know_are_refused(
        self, settings: Settings
    ) -> None:
        settings.TASKS = {"default": {"BACKEND": DUMMY}}
        with pytest.raises(QueueRefused, match=r"no worker of DummyBackend.*recover"):
            worker_commands()
