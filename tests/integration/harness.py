"""
Workers that die, freeze or lose their server at a chosen statement.

A worker is a fork of the test's process that runs the queue's own worker command. A
tripwire counts what it says to its database, each statement before and after, COMMIT
and ROLLBACK too, and acts at one of these points.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from django.db import DatabaseError, connection, connections
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult, get_date_max

from tests.testapp.ledger import ledger
from tests.testapp.models import Call, Country, Effect, Item
from upkeep.databases import Now
from upkeep.dispatch.recovery import sweep
from upkeep.models import Event, Queue, Run
from upkeep.runs.status import ENDED, Status

PATIENCE = 30.0  # seconds, for what takes a fraction of one


# Processes


def fork(work: Callable[[], None]) -> int:
    """Run something in a process of its own that shares no connection with us."""
    connections.close_all()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - a fork must end here whatever happens
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def is_frozen(pid: int) -> bool:
    """Tell whether a child has stopped itself; a child that ended is never frozen."""
    ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    assert not ended or os.WIFSTOPPED(status), "the worker ended before it froze"
    return ended == pid


def has_ended(pid: int) -> bool:
    """Tell whether a child has ended, and reap it then."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def exit_code(pid: int) -> int | None:
    """Wait for a child and return how it ended, -9 for SIGKILL; None if it has not."""
    status = None

    def ended() -> bool:
        nonlocal status
        reaped, status = os.waitpid(pid, os.WNOHANG)
        return reaped == pid

    return os.waitstatus_to_exitcode(status or 0) if wait_until(ended) else None


@contextmanager
def process(work: Callable[[], None]) -> Iterator[int]:
    """Run something in a process of its own, which is killed if it is still there."""
    pid = fork(work)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def wait_until(condition: Callable[[], Any], timeout: float = PATIENCE) -> bool:
    """Wait for a condition; False if it does not come true in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return bool(condition())


# Tripwires


WITHOUT_QUOTES = str.maketrans("", "", '`"')


class Point(NamedTuple):
    """A moment in a worker's talk with its database."""

    number: int
    name: str
    in_transaction: bool


@dataclass
class Tripwire:
    """Count the points of this process's talk with its database; act at one of them."""

    at: int | None = None
    act: Callable[[], None] = lambda: None
    points: list[Point] = field(default_factory=list)
    is_deaf: bool = False

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Do not count what is said inside, since it is not a worker that says it."""
        self.is_deaf = True
        yield
        self.is_deaf = False

    def install(self) -> None:
        """Listen to the connection of this thread."""
        connection.execute_wrappers.append(self._around_statement)
        for name in ("_commit", "_rollback"):
            setattr(connection, name, self._around(name, getattr(connection, name)))

    def _around_statement(
        self, execute: Callable[..., Any], sql: str, *rest: Any
    ) -> Any:
        statement = sql.translate(WITHOUT_QUOTES)[:60]
        self._reach(f"before {statement}")
        result = execute(sql, *rest)
        self._reach(f"after {statement}")
        return result

    def _around(self, name: str, method: Callable[[], Any]) -> Callable[[], Any]:
        def wrapped() -> Any:
            self._reach(f"before {name}")
            result = method()
            self._reach(f"after {name}")
            return result

        return wrapped

    def _reach(self, name: str) -> None:
        if self.is_deaf:
            return
        number = len(self.points) + 1
        self.points.append(Point(number, name, connection.in_atomic_block))
        if len(self.points) == self.at:
            self.act()


def points_of_unbroken_run(
    run: Run,
    notes: Path,
    *,
    work: Callable[[Tripwire], None] | None = None,
    faults_of: Callable[[Run], list[str]] | None = None,
) -> list[Point]:
    """Have a worker do a run without a fault, and return the points it passed."""

    def work_and_note() -> None:
        tripwire = Tripwire()
        (work or work_off_queue)(tripwire)
        notes.write_text(json.dumps(tripwire.points))

    with process(work_and_note) as pid:
        assert wait_until(lambda: has_ended(pid))
    found = (faults_of or faults)(run)
    assert found == [], found
    return [Point(*point) for point in json.loads(notes.read_text())]


def die() -> None:
    """End this process as a power failure would."""
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    """Stop this process where it stands."""
    os.kill(os.getpid(), signal.SIGSTOP)


# Workers


def work_off_queue(tripwire: Tripwire | None = None) -> None:
    """Be a worker of the queue until it is empty."""
    if tripwire is not None:
        tripwire.install()
    worker(batch=True, interval=0).run()


def worker(*, interval: float, batch: bool = False) -> Worker:
    """Return the worker of the queue's own command, listening as the command does."""
    worker = Worker(
        queue_names=["*"],
        excluded_queue_names=[],
        interval=interval,
        batch=batch,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=str(os.getpid()),
    )
    worker.configure_signals()
    return worker


def rescue() -> None:
    """Be a watcher and a worker, until no run is active; no human is asked."""
    while Run.objects.active().exists():
        sweep_and_work()


def sweep_and_work() -> None:
    """Be a watcher and a worker for a moment."""
    sweep()
    with suppress(SystemExit, DatabaseError):
        work_off_queue()
    time.sleep(0.02)


def tell_what_is_left() -> None:
    """Be a watcher until nothing is left to tell of what was done to runs."""
    deadline = time.monotonic() + 2
    while Event.objects.filter(announce_at__isnull=False).exists():
        sweep()
        if time.monotonic() > deadline:
            return


def look_after(work: Callable[[], None], tripwire: Tripwire | None = None) -> None:
    """Have work done until all is over for good, and see to what runs wait for."""
    tripwire = tripwire or Tripwire()
    while is_any_to_go_on(tripwire):
        with suppress(SystemExit, DatabaseError):
            work()
            with tripwire.deaf():
                pass_time()
                resume_all()
        time.sleep(0.005)


def is_any_to_go_on(tripwire: Tripwire) -> bool:
    with tripwire.deaf():
        return Run.objects.exclude(status__in=ENDED - {Status.ERRORED}).exists()


def pass_time() -> None:
    """Let everything be due that waits for its moment."""
    waiting = Run.objects.filter(run_after__gt=Now())
    waiting.update(run_after=Now(), resend_at=Now())
    DBTaskResult.objects.update(run_after=get_date_max())


def resume_all() -> None:
    """Be the person who mends what runs have stopped at, and resumes them."""
    for run in Run.objects.filter(status__in=[Status.PAUSED, Status.ERRORED]):
        if run.status == Status.ERRORED:
            Country.objects.get_or_create(code="mended")
        run.resume(by="ada")


# What must be true in the end


def clear() -> None:
    """Bring the tables back to the start."""
    Run.objects.all().delete()
    # Else the worker would say less to its database than the one that was counted.
    Queue.objects.all().delete()
    DBTaskResult.objects.all().delete()
    for model in (Effect, Call, Country):
        model._default_manager.all().delete()
    Item.objects.update(n=0)
    ledger.clear()


def faults(run: Run) -> list[str]:
    """Return what is wrong with a run that should have done each item exactly once."""
    run.refresh_from_db()
    items = dict(Item.objects.values_list("pk", "n"))
    effects = sorted(Effect.objects.values_list("item", flat=True))
    found = []
    if run.status != Status.SUCCEEDED:
        found.append(f"the run is {run.status}: {run.reason}")
    if run.done != len(items):
        found.append(f"the run counts {run.done} of {len(items)}")
    if wrong := {pk: n for pk, n in items.items() if n != 1}:
        found.append(f"items that were not done once: {wrong}")
    if effects != sorted(items):
        found.append(f"the ledger has {len(effects)} effects of {len(items)}")
    return found
