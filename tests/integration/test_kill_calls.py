"""A worker killed at any statement of a second call: once for a wish, and no limbo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from django.db import DatabaseError
from django_tasks_db.models import DBTaskResult

from tests.integration.harness import (
    Tripwire,
    die,
    has_ended,
    process,
    wait_until,
    work_off_queue,
)
from tests.testapp import calls
from tests.testapp.calls import PaymentError, pay, pay_later
from tests.testapp.models import Effect
from upkeep.dispatch.recovery import sweep
from upkeep.models import DeadLetter

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases"),
]

ORDER = 7


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    yield
    calls.answers.clear()
    calls.asked.clear()


def wanted(call: str) -> DeadLetter:
    """Return the letter of a call that is to be made again."""
    DBTaskResult.objects.all().delete()
    DeadLetter.objects.all().delete()
    Effect.objects.all().delete()
    calls.answers.append(PaymentError("refused"))
    function = {"pay": pay, "pay_later": pay_later.func}[call]
    with suppress(PaymentError):
        function(ORDER)
    letter = DeadLetter.objects.get()
    letter.retry()
    return letter


def rescue() -> None:
    """Be a watcher and a worker, until nobody is to make a call."""
    while DeadLetter.objects.filter(state="retrying").exists():
        sweep(prune=False)
        with suppress(SystemExit, DatabaseError):
            work_off_queue()
        time.sleep(0.02)


def faults(letter: DeadLetter, *, at_rest: str) -> list[str]:
    """Return what is wrong with a letter that nobody works on any more."""
    letter.refresh_from_db()
    payments = Effect.objects.filter(item=ORDER).count()
    found = []
    if payments > 1:
        found.append(f"the call was made {payments} times")
    if letter.state not in at_rest.split():
        found.append(f"the letter is {letter.state}")
    if letter.state == "resolved" and not payments:
        found.append("the letter is resolved, and no call was made")
    if letter.state == "open" and letter.attempts == 1:
        found.append("the letter is open as if nobody had called")
    return found


@pytest.mark.parametrize("call", ["pay", "pay_later"])
def test_a_wish_makes_one_call_at_most_wherever_the_worker_is_killed(
    call: str, tmp_path: Path, tell_tried: Callable[..., None]
) -> None:
    begun = time.monotonic()
    letter = wanted(call)
    notes = tmp_path / "points"

    def unbroken() -> None:
        tripwire = Tripwire()
        work_off_queue(tripwire)
        notes.write_text(str(len(tripwire.points)))

    with process(unbroken) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(letter, at_rest="resolved") == []
    wrong: dict[int, list[str]] = {}
    points = range(1, int(notes.read_text()) + 1)
    for point in points:
        letter = wanted(call)
        with process(partial(work_off_queue, Tripwire(point, die))) as pid:
            assert wait_until(lambda: has_ended(pid))
        with process(rescue) as pid:
            wait_until(lambda: has_ended(pid))
        if found := faults(letter, at_rest="resolved open"):
            wrong[point] = found
    tell_tried(
        f"a call of {call}()",
        tried=len(points),
        points=len(points),
        bad=len(wrong),
        seconds=round(time.monotonic() - begun, 1),
    )
    assert wrong == {}
