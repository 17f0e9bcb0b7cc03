"""A run that is followed, by a process that a person may interrupt at any time."""

import os
import pty
import signal
import subprocess
from contextlib import suppress
from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.management.commands import next_line, upkeep, wait_until
from tests.management.conftest import Start
from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from tests.testapp.models import Country, Effect, Item
from upkeep.execution.claim import Claim
from upkeep.management import follower
from upkeep.management.displays import Display
from upkeep.management.follower import Follower, story
from upkeep.models import Lease, Run
from upkeep.runs import why
from upkeep.runs.events import Event
from upkeep.runs.status import Status

CTRL_C = signal.SIGINT


def only_run() -> Run:
    return Run.objects.get()


def has_begun() -> bool:
    return Run.objects.filter(done__gt=0).exists()


def is_followed(process: subprocess.Popen[str]) -> bool:
    """Tell, by what it says, that it looks at the run."""
    return "running" in next_line(process)


class TestWithAWorker:
    def test_stays_until_the_run_is_over(self, start: Start, worker: object) -> None:
        process = start("run", "testapp.Numbers", "--follow")
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert f"Run {only_run().pk} of testapp.Numbers succeeded after" in out

    def test_pauses_the_run_on_ctrl_c(self, start: Start, worker: object) -> None:
        process = start("run", "testapp.CountSlowly", "--follow")
        wait_until(lambda: is_followed(process))
        wait_until(has_begun)
        process.send_signal(CTRL_C)
        out, err = process.communicate(timeout=60)
        run = only_run()
        assert process.returncode == 130
        assert "Pausing after the item in hand …\n" in out
        assert run.status == "paused"
        assert f"To go on, type: manage.py upkeep resume {run.pk}" in err


class TestInAPipe:
    def test_writes_plain_lines(self, start: Start) -> None:
        words = ["run", "testapp.CountSlowly", "--inline"]
        process = start(*words, environment={"FORCE_COLOR": "1"})
        out = ""
        while "  progress  " not in out:
            out += next_line(process)
        only_run().cancel()
        out += process.communicate(timeout=60)[0]
        assert "\x1b" not in out
        assert "\r" not in out
        told = [line[21:].split()[0] for line in out.splitlines()[1:]]
        assert told[:3] == ["enqueued", "running", "progress"]
        assert told[-2:] == ["cancelling", "cancelled"]


class TestInATerminal:
    def test_draws_a_bar(self, start: Start) -> None:
        ours, theirs = pty.openpty()
        environment = {"TERM": "xterm-256color"}
        words = ["run", "testapp.Numbers", "--inline"]
        process = start(*words, stdout=theirs, environment=environment)
        os.close(theirs)
        out = b""
        with suppress(OSError):  # That is how the other end says that it is closed.
            while part := os.read(ours, 1024):
                out += part
        os.close(ours)
        assert process.wait(60) == 0
        assert "━".encode() in out
        assert b"7 of 7" in out
        assert b"\x1b[?25h" in out  # The cursor is there again.


class TestInline:
    def test_pauses_on_ctrl_c(self, start: Start) -> None:
        process = start("run", "testapp.CountSlowly", "--inline")
        wait_until(has_begun)
        process.send_signal(CTRL_C)
        _, err = process.communicate(timeout=60)
        run = only_run()
        assert process.returncode == 130
        assert run.status == "paused"
        assert run.done == Effect.objects.count()
        assert f"To go on, type: manage.py upkeep resume {run.pk}" in err
        moves = run.events.filter(kind="move").values_list("status", flat=True)
        assert list(moves) == ["enqueued", "running", "pausing", "paused"]

    def test_waits_for_a_throttle_and_says_so(self, start: Start) -> None:
        """Nobody is there to come back later."""
        Item.objects.create()
        Country.objects.create(code="open")
        process = start("run", "testapp.CountUpByNight", "--inline")
        out = ""
        while "Throttled by shop_is_open since " not in out:
            out += next_line(process)
        assert only_run().status == "running"
        process.send_signal(CTRL_C)
        process.communicate(timeout=60)
        assert (process.returncode, only_run().status) == (130, "paused")

    def test_tells_an_error_once(self, start: Start) -> None:
        Item.objects.create(pk=8)
        process = start("run", "testapp.CountUpTo", "-p", "up_to=7", "--inline")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err.count("ValueError: 8 is beyond 7") == err.count("Traceback") == 1
        assert f"upkeep resume {only_run().pk}" in err

    def test_ends_at_once_on_a_second_ctrl_c(self, start: Start) -> None:
        """A Job cannot stop in its midst; its chunk is given up."""
        process = start("run", "testapp.Doze", "--inline")
        wait_until(lambda: Run.objects.filter(status="running").exists())
        wait_until(Effect.objects.exists)
        process.send_signal(CTRL_C)
        errors = process.stderr
        assert errors
        wait_until(lambda: "Ctrl-C again ends it" in errors.readline())
        process.send_signal(CTRL_C)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert only_run().status == "interrupted"
        assert "is interrupted after" in err

    def test_leaves_the_run_to_a_worker_on_sigterm(self, start: Start) -> None:
        process = start("run", "testapp.CountSlowly", "--inline")
        wait_until(has_begun)
        process.terminate()
        _, err = process.communicate(timeout=60)
        run = only_run()
        assert process.returncode == 1
        assert run.status == "interrupted"
        assert run.done == Effect.objects.count()
        assert "SIGTERM" in err


class Notebook(Display):
    """A display that remembers."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.looks: list[str] = []
        self.noted: list[str] = []

    def happened(self, event: Event) -> None:
        self.events.append(event.status or event.text)

    def stands(self, run: Run) -> None:
        self.looks.append(run.status)

    def notes(self, text: str) -> None:
        self.noted.append(text)


@pytest.mark.django_db
class TestFollower:
    @pytest.fixture
    def notebook(self) -> Notebook:
        return Notebook()

    def test_asks_one_question_where_nothing_is_new(
        self, notebook: Notebook, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        watching = Follower(Numbers.enqueue(), notebook)
        watching.look()
        with django_assert_num_queries(1):
            watching.look()

    def test_tells_each_event_once(self, notebook: Notebook) -> None:
        run = Numbers.enqueue()
        watching = Follower(run, notebook)
        watching.look()
        run.pause()
        watching.look()
        watching.look()
        assert notebook.events == ["enqueued", "paused"]
        assert notebook.looks == ["enqueued", "paused", "paused"]

    def test_begins_behind_an_event(self, notebook: Notebook) -> None:
        run = Numbers.enqueue()
        run.pause()
        Follower(run, notebook, after=run.events.earliest("pk").pk).look()
        assert notebook.events == ["paused"]

    def test_says_once_that_no_worker_comes(
        self, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "PATIENCE", timedelta(0))
        monkeypatch.setattr(why, "ON_ITS_WAY", timedelta(0))
        watching = Follower(Numbers.enqueue(), notebook)
        for _ in range(3):
            watching.look()
        (noted,) = notebook.noted
        assert noted.startswith("No worker has ever taken a message from queue default")

    def test_says_what_a_delayed_run_waits_for(self, notebook: Notebook) -> None:
        later = timezone.now() + timedelta(hours=1)
        Follower(Numbers.using(run_after=later).enqueue(), notebook).look()
        assert notebook.noted[0].startswith("It is not to start before ")

    def test_says_once_which_item_does_not_end(
        self, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "LOOK_FOR_STUCK_EVERY", timedelta(0))
        run = run_in(Status.RUNNING)
        watching = Follower(run, notebook)
        watching.look()
        assert notebook.noted == []
        Lease.objects.filter(run=run).update(
            until=timezone.now() + timedelta(minutes=3),
            item="testapp.Number 8",
            item_since=timezone.now() - timedelta(minutes=12),
            place="maintenance.py:7, in process",
        )
        for _ in range(3):
            watching.look()
        (noted,) = notebook.noted
        assert noted.startswith("testapp.Number 8 has been in hand for 12 min")

    def test_waits_for_a_database_that_is_away(self, notebook: Notebook) -> None:
        watching = Follower(Numbers.enqueue(), notebook)
        with (
            mock.patch.object(follower, "is_passing", return_value=True),
            mock.patch.object(follower, "forget_lost_connection") as forget,
            mock.patch.object(Follower, "_look", side_effect=OperationalError("gone")),
        ):
            watching.look()
            watching.look()
        watching.look()
        assert forget.called
        assert notebook.noted == [follower.DATABASE_IS_AWAY]
        assert notebook.looks == ["enqueued"]

    def test_reads_a_long_story_in_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run = Numbers.enqueue()
        run.tell(Event.Kind.LOG, *"abcdefg")
        monkeypatch.setattr(follower, "PAGE", 3)
        assert [event.text for event in story(run)] == ["", *"abcdefg"]


class TestWatching:
    def test_leaves_the_run_alone_on_ctrl_c(self, start: Start) -> None:
        run = Numbers.enqueue()
        process = start("status", run.pk, "--follow")
        header = next_line(process)
        process.send_signal(CTRL_C)
        _, err = process.communicate(timeout=60)
        run.refresh_from_db()
        assert header == f"Run {run.pk} of testapp.Numbers is enqueued.\n"
        assert process.returncode == 130
        assert "goes on unwatched" in err
        assert run.status == "enqueued"

    @pytest.mark.django_db
    def test_needs_to_know_which_run(self) -> None:
        outcome = upkeep("status", "--follow")
        assert outcome.status == 2
        assert "Say which run" in outcome.err


@pytest.mark.django_db
class TestEnd:
    """What became of the run decides the exit status and the last sentence."""

    @pytest.mark.parametrize(
        "status",
        [Status.PAUSED, Status.CANCELLED, Status.ERRORED, Status.DISCARDED],
    )
    def test_other_than_success_is_status_1(self, status: Status) -> None:
        outcome = upkeep("status", run_in(status).pk, "--follow")
        assert outcome.status == 1
        assert f"{status} after" in outcome.err

    def test_by_success_is_status_0(self) -> None:
        run = run_in(Status.SUCCEEDED)
        outcome = upkeep("status", run.pk, "--follow")
        assert outcome.status == 0
        assert f"Run {run.pk} of testapp.Numbers succeeded after" in outcome.out

    @pytest.mark.parametrize("status", [Status.ENQUEUED, Status.RUNNING])
    def test_by_a_person_says_who_and_why(self, status: Status) -> None:
        """Whether a worker had to be asked or not."""
        run = run_in(status)
        run.cancel(by="ada", reason="Not today.")
        if status is Status.RUNNING:
            Claim(run).let_go(reason="")
        err = upkeep("status", run.pk, "--follow").err
        assert err.endswith("By ada. Not today.")

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (Status.PAUSED, "Paused: Run "),
            (Status.CANCELLED, "Cancelled: Run "),
            (Status.DISCARDED, "Failed: Run "),
        ],
    )
    def test_is_called_what_it_is(self, status: Status, word: str) -> None:
        err = upkeep("status", run_in(status).pk, "--follow").err
        assert err.startswith(word)

    @pytest.mark.parametrize("status", [Status.PAUSED, Status.ERRORED])
    def test_that_is_none_for_good_says_how_to_go_on(self, status: Status) -> None:
        run = run_in(status)
        err = upkeep("status", run.pk, "--follow").err
        assert err.endswith(f"type: manage.py upkeep resume {run.pk}")
