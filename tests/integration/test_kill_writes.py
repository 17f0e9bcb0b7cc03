"""A worker killed at any statement, of a task that leaves its writes to the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import (
    Point,
    Tripwire,
    clear,
    die,
    has_ended,
    points_of_unbroken_run,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.registering import registered
from tests.testapp.clock import clock
from tests.testapp.models import Effect, Item, Post
from upkeep import Quarantine, Task
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("short_leases", "known_chunks"),
]

KEYS = range(1, 31)
BAD = 14
GOOD = [key for key in KEYS if key != BAD]

STEP = 5  # Every fifth point, of each task others.


class Walk(Task):
    """Walk thirty posts in chunks of ten, one of which fails."""

    abstract = True
    app_label = "testapp"
    on_error = (Quarantine(ValueError),)

    def collection(self) -> Any:
        return Post.objects.all()

    def reach(self, post: Post) -> None:
        """Let a chunk end behind each tenth post, and let one fail."""
        if post.pk % 10 == 0:
            clock.tick()
        if post.pk == BAD:
            raise ValueError("no")


class Number(Walk):
    """Count up a column of each post."""

    updates = ("volume",)

    def process(self, post: Post) -> None:
        post.volume += 1
        self.reach(post)


class Note(Walk):
    """Make two effects of each post."""

    creates = Effect

    def process(self, post: Post) -> Iterator[Effect]:
        yield Effect(item=post.pk)
        self.reach(post)
        yield Effect(item=post.pk)


class Thin(Walk):
    """Delete two posts of three, and count up the third."""

    updates = ("volume",)
    deletes = True

    def process(self, post: Post) -> bool:
        self.reach(post)
        post.volume += 1
        return post.pk % 3 != 0


def volumes() -> dict[int, int]:
    return dict(Post.objects.values_list("pk", "volume"))


def effects() -> list[int]:
    return sorted(Effect.objects.values_list("item", flat=True))


@dataclass(frozen=True)
class Case:
    """A task, and what must be there in the end."""

    task: type[Task]
    found: Callable[[], Any]
    wanted: Any
    counts: tuple[int, int, int]  # changed, created, deleted

    def faults(self, run: Run) -> list[str]:
        """Return what is wrong with a run that should be over."""
        run.refresh_from_db()
        told = {
            "status": (run.status, Status.SUCCEEDED),
            "done, failed": ((run.done, run.failed), (len(GOOD), 1)),
            "counts": ((run.changed, run.created, run.deleted), self.counts),
            "dead letters": (run.dead_letters.count(), 1),
            "rows": (self.found(), self.wanted),
        }
        return [
            f"{name}: {is_now}, not {wanted}"
            for name, (is_now, wanted) in told.items()
            if is_now != wanted
        ]


kept = {key: int(key != BAD) for key in KEYS if key % 3 == 0 or key == BAD}
changed = len([key for key in kept if key != BAD])

CASES = [
    Case(Number, volumes, {key: int(key != BAD) for key in KEYS}, (29, 0, 0)),
    Case(Note, effects, sorted(GOOD * 2), (0, 58, 0)),
    Case(Thin, volumes, kept, (changed, 0, 29 - changed)),
]


@pytest.fixture
def posts(transactional_db: None) -> None:
    """Have thirty posts that nobody has counted up."""
    Item.objects.all().delete()
    anew()


def anew() -> None:
    """Bring the tables back to the start."""
    clear()
    Post.objects.all().delete()
    Post.objects.bulk_create(Post(pk=key, title=f"Post {key}") for key in KEYS)


@pytest.mark.usefixtures("posts")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.task.__name__)
def test_each_row_is_written_once_wherever_the_worker_is_killed(
    case: Case,
    tmp_path: Path,
    every_point: bool,
    tell_tried: Callable[..., None],
) -> None:
    begun = time.monotonic()
    with registered({f"tests.{case.task.__name__}": case.task}):
        points = points_of_unbroken_run(
            case.task.enqueue(), tmp_path / "points", faults_of=case.faults
        )
        tried = points if every_point else points[CASES.index(case) :: STEP]
        wrong: dict[Point, list[str]] = {}
        for point in tried:
            anew()
            run = case.task.enqueue()
            worker = partial(work_off_queue, Tripwire(point.number, die))
            with process(worker) as pid:
                assert wait_until(partial(has_ended, pid))
            with process(rescue) as pid:
                wait_until(partial(has_ended, pid))
            if found := case.faults(run):
                wrong[point] = found
    tell_tried(
        case.task.__name__,
        tried=len(tried),
        points=len(points),
        bad=len(wrong),
        seconds=round(time.monotonic() - begun, 1),
    )
    assert wrong == {}
