"""
Somebody writes the rows of a running task with updates, thousands of times.

The writer is a process of its own. It counts its changes of a row in a column that the
task reads and that guards nothing, and the task writes that number down: so each time
that the writer comes back to a row it sees of which state the task wrote last.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from tests.integration.harness import has_ended, process, wait_until
from tests.registering import registered
from tests.testapp.models import Item, Post
from upkeep import Quarantine, Task, databases
from upkeep.exceptions import Conflict
from upkeep.execution.updates.shapes import Shape
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 400
CHANGES = {"postgresql": 10_000, "mysql": 10_000, "sqlite": 5_000}
SOME_CHANGES = 2_000

ACCENTS = str.maketrans("aeiouAEIOU", "áéíóúÁÉÍÓÚ")
STEP = 1000  # More than there are rows. The task adds it where the writer adds one.


class Follow(Task):
    """Write down which state of each post it was that was read, and count that."""

    app_label = "testapp"
    updates = ("slug", "volume")
    batch_size = 100
    chunk = timedelta(milliseconds=10)
    on_error = (Quarantine(Conflict),)

    def collection(self) -> Any:
        posts = Post.objects.only("title", "slug", "volume", "extra")
        return posts.annotate(state=F("number"))

    def process(self, post: Any) -> None:
        post.slug = f"{post.state // STEP}"
        post.volume += STEP


# The writer


@dataclass
class Row:
    """What the writer has made of a row, and what it saw there each time."""

    pk: int
    state: int = 0
    made: Counter[str] = field(default_factory=Counter)
    seen: list[tuple[int, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    KINDS = ("case", "accents", "spaces", "json", "volume")

    @property
    def title(self) -> str:
        """A text that is another one to the byte, and the same to many collations."""
        letters = [
            letter.upper() if self.made["case"] >> place & 1 else letter
            for place, letter in enumerate("boulanger")
        ]
        for place, at in enumerate([1, 2, 5, 7]):
            if self.made["accents"] >> place & 1:
                letters[at] = letters[at].translate(ACCENTS)
        return "".join(letters) + " " * (self.made["spaces"] % 20)

    @property
    def extra(self) -> str:
        """A document that is the same to Python, however it is spelled."""
        return f'{{"rank": 1.{"0" * (1 + self.made["json"])}}}'

    def look(self, title: str, volume: int, extra: str, slug: str) -> None:
        """Note of which state was written, and whether a change of ours is gone."""
        self.seen.append((self.state, slug))
        is_now = (title, volume % STEP, extra)
        if is_now != (wanted := (self.title, self.made["volume"], self.extra)):
            self.lost.append(f"{wanted} became {is_now}")

    def change(self, kind: str) -> None:
        """Change the row in one of the ways that are easily overlooked."""
        self.made[kind] += 1
        self.state += 1

    @property
    def faults(self) -> Iterator[str]:
        """Say what was overwritten, and what was written of a state that was over."""
        yield from self.lost
        before = ""
        for state, slug in self.seen:
            if slug not in (before, str(state)):
                yield f"row {self.pk}: state {slug} was written into state {state}"
            before = slug


def select(pk: int) -> tuple[str, int, str, str]:
    """Return a row as it is, locked where that can be."""
    lock = "" if connection.vendor == "sqlite" else " FOR UPDATE"
    text = "extra::text" if connection.vendor == "postgresql" else "extra"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT title, volume, {text}, slug FROM testapp_post WHERE id = %s{lock}",
            [pk],
        )
        found: tuple[str, int, str, str] = cursor.fetchone()
        return found


def write(row: Row, kind: str) -> None:
    """Write a change of a row as somebody does who knows nothing of the task."""
    cast = "::jsonb" if connection.vendor == "postgresql" else ""
    more = " + 1" if kind == "volume" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE testapp_post SET title = %s, extra = %s{cast}, number = %s,"
            f" volume = volume{more} WHERE id = %s",
            [row.title, row.extra, STEP * row.state + row.pk, row.pk],
        )


def write_beside(changes: int, notes: Path) -> None:
    """Change rows so many times, and write down what was seen."""
    chance = random.Random(7)  # The same each time.
    rows = [Row(pk) for pk in range(1, ROWS + 1)]
    for _ in range(changes):
        row, kind = chance.choice(rows), chance.choice(Row.KINDS)
        with databases.writing("default"):
            row.look(*select(row.pk))
            row.change(kind)
            write(row, kind)
    notes.write_text(json.dumps([vars(row) for row in rows]))


@pytest.fixture
def posts(transactional_db: None) -> None:
    """Have posts as the writer believes them to be."""
    Item.objects.all().delete()
    for pk in range(1, ROWS + 1):
        row = Row(pk)
        Post.objects.create(pk=pk, title=row.title, volume=0)
        write(row, "")


@dataclass
class Outcome:
    """What became of the rows while the task ran again and again."""

    faults: list[str]
    runs: int = 0
    changed: int = 0
    conflicts: int = 0
    failed: int = 0


def run_beside_a_writer(changes: int, notes: Path) -> Outcome:
    """Run the task until the writer is done, and look for what is wrong."""
    outcome = Outcome([])
    with (
        registered({"tests.Follow": Follow}),
        process(lambda: write_beside(changes, notes)) as pid,
    ):
        is_over = False
        while not is_over:
            is_over = has_ended(pid)
            run = Follow.run_now()
            assert run.status == Status.SUCCEEDED, run.reason
            outcome.runs += 1
            outcome.changed += run.changed
            outcome.conflicts += run.conflicts
            outcome.failed += run.failed
    rows = [Row(**{**each, "made": Counter(each["made"])}) for each in read(notes)]
    for row in rows:
        row.look(*select(row.pk))
        outcome.faults += row.faults
    added = sum(
        volume // STEP for volume in Post.objects.values_list("volume", flat=True)
    )
    if added != outcome.changed:
        outcome.faults.append(
            f"{outcome.changed} changes are counted, {added} are there"
        )
    assert sum(row.state for row in rows) == changes
    return outcome


def read(notes: Path) -> list[dict[str, Any]]:
    assert wait_until(notes.exists), "the writer came to grief"
    found: list[dict[str, Any]] = json.loads(notes.read_text())
    return found


@pytest.mark.usefixtures("posts")
def test_nothing_is_overwritten_and_nothing_written_from_a_stale_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], database_name: str
) -> None:
    changes = CHANGES[connection.vendor]
    outcome = run_beside_a_writer(changes, tmp_path / "notes")
    with capsys.disabled():
        print(
            f"\n{changes} changes beside {outcome.runs} runs on {database_name}: "
            f"{outcome.changed} rows written, {outcome.conflicts} conflicts, "
            f"{outcome.failed} given up, {len(outcome.faults)} bad"
        )
    assert outcome.faults == []
    # SQLite has one writer: nobody comes between the reading and the writing.
    assert bool(outcome.conflicts) == (connection.vendor != "sqlite")


@pytest.mark.usefixtures("posts")
def test_without_the_guards_changes_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("by design: SQLite has one writer, so nobody comes between")
    with_guards = Shape.__init__

    def without_guards(self: Any, *given: Any, **options: Any) -> None:
        with_guards(self, *given, **options)
        self.guarded = ()

    monkeypatch.setattr(Shape, "__init__", without_guards)
    assert run_beside_a_writer(SOME_CHANGES, tmp_path / "notes").faults != []
