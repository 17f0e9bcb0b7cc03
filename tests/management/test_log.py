"""`upkeep log` tells the story of a run, the oldest first."""

import pytest

from tests.management.commands import upkeep
from tests.management.conftest import Start
from tests.testapp.maintenance import Numbers, Report
from upkeep.execution.claim import this_worker
from upkeep.runs.events import Event
from upkeep.testing import run_inline

pytestmark = pytest.mark.django_db


def test_has_a_line_for_each_event() -> None:
    run = Report.using(by="ada").run_now()
    lines = [line[21:] for line in upkeep("log", run.pk).out.splitlines()]
    assert lines == [
        "enqueued     by ada (python)",
        f"running      by {this_worker()} (worker)",
        "log          Counting …",
        "succeeded    (worker)",
    ]


def test_tells_where_the_run_stopped() -> None:
    run = run_inline(run_inline(Numbers, stop_after=2))
    told = upkeep("log", run.pk).out
    assert "The test told it to stop.  by " in told
    assert "(worker) at position 2\n" in told
    assert told.endswith("succeeded    (worker) at position 7\n")


def test_tells_of_a_move_that_is_older_than_its_source() -> None:
    run = Numbers.using(by="ada").enqueue()
    run.events.update(source="")
    assert upkeep("log", run.pk).out.endswith("enqueued     by ada\n")


def test_cannot_steer_a_terminal() -> None:
    """What a task logs may come from anywhere."""
    run = Numbers.enqueue()
    run.tell(Event.Kind.LOG, "\x1b[2J\x1b]0;gotcha\x07\rgone")
    out = upkeep("log", run.pk).out
    assert "\\x1b[2J\\x1b]0;gotcha\\x07\\rgone" in out


def test_asks_for_a_run_that_exists() -> None:
    assert upkeep("log", 99).status == 2


def test_ends_quietly_when_nobody_reads_on(start: Start) -> None:
    run = Numbers.enqueue()
    run.tell(Event.Kind.LOG, *map(str, range(5000)))
    process = start("log", run.pk)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
