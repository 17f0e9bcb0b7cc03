"""Two processes that want the same at the same instant: the database decides."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from contextlib import ExitStack
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.dispatch.queue import messages
from tests.integration.harness import PATIENCE, has_ended, process, wait_until
from tests.testapp.maintenance import CountUp
from upkeep.exceptions import AlreadyActive
from upkeep.models import Run
from upkeep.runs.status import ACTIVE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("concurrency", "rounds"), [(1, 500), (2, 100)])
def test_of_those_who_enqueue_as_many_win_as_there_are_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int, rounds: int
) -> None:
    """
    One of two processes for one slot; two of three for two.

    On MariaDB the latter deadlock again and again: each waits for the gap of the other.
    """
    monkeypatch.setattr(CountUp, "concurrency", concurrency)
    rivals = concurrency + 1
    together = multiprocessing.get_context("fork").Barrier(rivals)
    paths = [tmp_path / f"{number}.json" for number in range(rivals)]
    with ExitStack() as stack:
        pids = [
            stack.enter_context(process(partial(race, together, path, rounds)))
            for path in paths
        ]
        assert wait_until(lambda: all(map(has_ended, pids)), timeout=4 * PATIENCE)
    each_round = zip(*(json.loads(path.read_text()) for path in paths), strict=True)
    outcomes = Counter(tuple(sorted(each)) for each in each_round)
    expected = ("AlreadyActive", *["enqueued"] * concurrency)
    assert outcomes == {expected: rounds}
    assert Run.objects.count() == len(messages()) == concurrency * rounds


def race(together: Barrier, path: Path, rounds: int) -> None:
    """Enqueue at the same instant as the others, round after round."""
    outcomes = []
    for _round in range(rounds):
        together.wait(PATIENCE)
        try:
            run = CountUp.enqueue()
        except AlreadyActive as error:
            outcomes.append(type(error).__name__)
            together.wait(PATIENCE)
        else:
            outcomes.append(run.status)
            together.wait(PATIENCE)
            run.cancel()
            assert run.status not in ACTIVE
    path.write_text(json.dumps(outcomes))
