"""Declared updates in a run: what process() changes is saved, a page at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from tests.execution.story import effects, go_on, log_of, once, resume
from tests.testapp.clock import clock
from tests.testapp.models import Effect, Item, Post, Specimen
from upkeep import Batches, Discard, Quarantine, Skip, Task
from upkeep.exceptions import Conflict, InvalidTask, InvalidUpdate
from upkeep.execution.chunks import BLOCK
from upkeep.execution.saving import MOST_TIMES
from upkeep.models import Run
from upkeep.runs.status import Status

Known = Callable[[Any], Any]

MIDDLE = 7

pytestmark = pytest.mark.usefixtures("items", "still_clock")


class Backfill(Task):
    """Count every item up; the fields that changed are left to the engine."""

    abstract = True
    updates = ("n",)
    calls: Counter[int]
    bad: set[int] = set()

    def collection(self) -> Any:
        return Item.objects.all()

    def process(self, item: Item) -> None:
        self.calls[item.pk] += 1
        item.n += 1
        if item.pk in self.bad:
            raise ValueError(f"item {item.pk} is bad")


@pytest.fixture
def trial(known: Known) -> Any:
    @known
    class Trial(Backfill):
        calls: Counter[int] = Counter()

    return Trial


def numbers() -> dict[int, int]:
    return dict(Item.objects.values_list("pk", "n"))


def writes_items(sql: str) -> bool:
    return "testapp_item" in sql and "UPDATE" in sql[:200]


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.status, run.done, run.failed, run.skipped


def disturb(item: Item, n: int) -> None:
    """Change a row as somebody else might meanwhile."""
    Item.objects.filter(pk=item.pk).update(n=n)


def test_what_process_changed_is_saved(trial: Any) -> None:
    run = trial.run_now()
    assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
    assert numbers() == once(*range(1, 21))
    assert (run.changed, run.conflicts) == (20, 0)


def test_with_one_statement_for_all_of_a_page(trial: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        trial.run_now()
    assert len([query for query in queries if writes_items(query["sql"])]) == 1


def test_behind_a_savepoint_but_on_sqlite_which_would_write_all_once_more(
    trial: Any,
) -> None:
    with CaptureQueriesContext(connection) as queries:
        trial.run_now()
    said = [query["sql"] for query in queries]
    written = next(n for n, sql in enumerate(said) if writes_items(sql))
    before = [sql.split()[0] for sql in said[:written]]
    still_open = before.count("SAVEPOINT") - before.count("RELEASE")
    assert (still_open == 0) == (connection.vendor == "sqlite")


# What keeps a row as it is, in silence, and what takes that away again.
KEEPERS = {
    "sqlite": (
        (
            "CREATE TRIGGER keeper BEFORE UPDATE ON testapp_item"
            f" WHEN old.id = {MIDDLE} BEGIN SELECT RAISE(IGNORE); END"
        ),
        "DROP TRIGGER keeper",
    ),
    "postgresql": (
        (
            "CREATE RULE keeper AS ON UPDATE TO testapp_item"
            f" WHERE old.id = {MIDDLE} DO INSTEAD NOTHING"
        ),
        "DROP RULE keeper ON testapp_item",
    ),
}


@pytest.mark.skipif(
    connection.vendor not in KEEPERS,
    reason="by design: a trigger of MariaDB cannot keep a row without an error",
)
class TestRowThatATriggerKeeps:
    """Nobody else has changed it, and yet it is not written."""

    @pytest.fixture(autouse=True)
    def keeper(self, items: list[Item]) -> Iterator[None]:
        create, drop = KEEPERS[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(create)
        yield
        with connection.cursor() as cursor:
            cursor.execute(drop)

    def test_ends_the_run_there(self, trial: Any) -> None:
        run = trial.run_now()
        assert counts(run) == (Status.ERRORED, 6, 0, 0)
        assert run.error_at == f"testapp.Item {MIDDLE}"
        assert "a trigger or a rule" in run.error_message

    def test_is_passed_over_alone(self, trial: Any) -> None:
        trial.on_error = [Quarantine(InvalidUpdate)]
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert numbers() == {pk: pk != MIDDLE for pk in range(1, 21)}


def test_what_it_left_as_it_was_is_not_written(trial: Any) -> None:
    def process(self: Any, item: Item) -> None:
        item.n += item.pk % 2

    trial.process = process
    run = trial.run_now()
    assert (run.done, run.changed) == (20, 10)


def test_a_change_that_would_be_lost_ends_the_run(trial: Any) -> None:
    trial.updates = ("id",)
    run = trial.run_now()
    assert run.status == Status.ERRORED
    assert "primary key" in run.error_message


def test_an_item_that_fails_undoes_nothing_of_others(trial: Any) -> None:
    trial.bad, trial.on_error = {1, MIDDLE, 20}, [Quarantine(ValueError)]
    run = trial.run_now()
    assert counts(run) == (Status.SUCCEEDED, 17, 3, 0)
    assert numbers() == {pk: pk not in trial.bad for pk in range(1, 21)}
    assert run.changed == 17


class TestUniqueValueThatIsHandedOn:
    """The page is halved until a record is alone, which by itself trades nothing."""

    @pytest.fixture
    def handed_on(self, trial: Any) -> Any:
        Post.objects.bulk_create(Post(pk=pk, place=pk) for pk in range(1, 6))

        def process(self: Any, post: Post) -> None:
            assert post.place is not None
            post.place = {2: 4, 4: 2}.get(post.place, post.place + 10)

        trial.updates, trial.process = ("place",), process
        trial.collection = lambda self: Post.objects.all()
        return trial

    def test_is_told_where_the_run_ends(self, handed_on: Any) -> None:
        run = handed_on.run_now()
        assert counts(run) == (Status.ERRORED, 1, 0, 0)
        assert ". In one page, a value of place goes from one" in run.error_message

    def test_is_told_of_each_that_is_kept_for_later(self, handed_on: Any) -> None:
        handed_on.on_error = [Quarantine(IntegrityError)]
        run = handed_on.run_now()
        assert counts(run) == (Status.SUCCEEDED, 3, 2, 0)
        assert {letter.payload["pk"] for letter in run.dead_letters.all()} == {2, 4}
        for letter in run.dead_letters.all():
            assert (
                ". In one page, a value of place goes from one" in letter.error_message
            )


def test_without_a_rule_what_came_before_is_saved(trial: Any) -> None:
    trial.bad = {MIDDLE}
    run = trial.run_now()
    assert counts(run) == (Status.ERRORED, 6, 0, 0)
    assert numbers() == {pk: pk < MIDDLE for pk in range(1, 21)}
    trial.bad = set()
    assert counts(resume(run)) == (Status.SUCCEEDED, 20, 0, 0)
    assert numbers() == once(*range(1, 21))


class TestConflict:
    """A row that somebody else has changed since it was read."""

    @pytest.fixture
    def disturbed(self, trial: Any) -> Any:
        """Have item 7 changed by others, so many times, while it is worked on."""

        def process(self: Any, item: Item) -> None:
            Backfill.process(self, item)
            if item.pk == MIDDLE and self.calls[MIDDLE] <= self.times:
                disturb(item, 100 * self.calls[MIDDLE])

        trial.process, trial.times = process, 1
        return trial

    def test_is_read_and_processed_again(self, disturbed: Any) -> None:
        run = disturbed.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert numbers() == once(*range(1, 21)) | {MIDDLE: 101}
        assert (run.changed, run.conflicts) == (20, 1)
        assert disturbed.calls[MIDDLE] == 2
        assert set(disturbed.calls.values()) == {1, 2}

    def test_that_does_not_end_is_an_error_of_the_item(self, disturbed: Any) -> None:
        disturbed.times = 1000
        disturbed.on_error = [Quarantine(Conflict)]
        run = disturbed.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        letter = run.dead_letters.get()
        assert letter.item == "testapp.Item 7"
        assert f"each of the {MOST_TIMES} times" in letter.error_message
        # What process() itself did to the row is undone with it.
        assert numbers() == once(*range(1, 21)) | {MIDDLE: 0}

    def test_without_a_rule_ends_the_run_there(self, disturbed: Any) -> None:
        disturbed.times = 1000
        run = disturbed.run_now()
        assert counts(run) == (Status.ERRORED, 6, 0, 0)
        assert run.error_at == "testapp.Item 7"

    def test_of_a_row_that_is_gone_needs_nothing(self, trial: Any) -> None:
        def process(self: Any, item: Item) -> None:
            Backfill.process(self, item)
            if item.pk == MIDDLE:
                Item.objects.filter(pk=item.pk).delete()

        trial.process = process
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)
        assert log_of(run) == [
            "Skipped testapp.Item 7: It is no longer in the collection."
        ]

    def test_an_error_the_second_time_is_one_of_the_item(self, disturbed: Any) -> None:
        process = disturbed.process

        def fail_again(self: Any, item: Item) -> None:
            process(self, item)
            if item.n > 100:
                raise ValueError("more than a hundred")

        disturbed.process, disturbed.on_error = fail_again, [Discard(ValueError)]
        disturbed.times = 1000  # Once more when the item is alone.
        run = disturbed.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)

    def test_of_one_that_is_skipped_both_times_counts_once(self, trial: Any) -> None:
        def process(self: Any, item: Item) -> None:
            Backfill.process(self, item)
            if item.pk == MIDDLE:
                if self.calls[MIDDLE] == 1:
                    disturb(item, 5)
                raise Skip

        trial.process = process
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)
        assert numbers()[MIDDLE] == 6


def test_a_record_whose_columns_were_loaded_apart_is_no_error_of_others(
    known: Any,
) -> None:
    """A block may have none of the records that carry the same as it."""
    first, second = (Specimen.objects.create(document={}) for _ in range(2))

    def look(instance: Specimen, **kwargs: Any) -> None:
        if instance.pk == second.pk and "char" in vars(instance):
            assert instance.document == {}

    @known
    class Trial(Task):
        updates = ("char",)
        on_error = [Quarantine(InvalidUpdate)]

        def collection(self) -> Any:
            return Specimen.objects.only("char")

        def process(self, record: Specimen) -> None:
            record.char = "x"
            clock.sleep(BLOCK)

    post_init.connect(look, sender=Specimen)
    try:
        run = Trial.run_now()
    finally:
        post_init.disconnect(look, sender=Specimen)
    letter = run.dead_letters.get()
    assert letter.item == f"testapp.Specimen {second.pk}"
    assert "apart from it" in letter.error_message
    assert Specimen.objects.get(char="x") == first


def test_dead_letters_are_retried_in_the_same_way(trial: Any) -> None:
    trial.bad, trial.on_error = {3, MIDDLE}, [Quarantine(ValueError)]
    parent = trial.run_now()
    trial.bad = set()
    (retrial,) = parent.dead_letters.retry()
    Item.objects.filter(pk=3).delete()
    run = go_on(retrial)
    assert counts(run) == (Status.SUCCEEDED, 1, 0, 1)
    assert (run.changed, numbers()[MIDDLE]) == (1, 1)


def test_other_effects_are_committed_with_them(trial: Any) -> None:
    def process(self: Any, item: Item) -> None:
        Backfill.process(self, item)
        Effect.objects.create(item=item.pk)

    trial.process, trial.bad = process, {MIDDLE}
    trial.on_error = [Discard(ValueError)]
    trial.run_now()
    assert effects() == once(*(pk for pk in range(1, 21) if pk != MIDDLE))


class TestRefused:
    """What cannot be saved by the engine, with what to write instead."""

    def test_a_collection_of_other_things(self, trial: Any) -> None:
        for walked in (Batches(Item.objects.all()), [1, 2]):
            trial.collection = lambda self, walked=walked: walked
            run = trial.run_now()
            assert run.status == Status.ERRORED
            assert "return a QuerySet, or leave updates out" in run.error_message

    def test_without_a_transaction(self) -> None:
        with pytest.raises(InvalidTask, match="atomic = False has none"):

            class Loose(Backfill):
                atomic = False

    def test_what_are_no_names(self) -> None:
        with pytest.raises(InvalidTask, match="must be a tuple of field names"):

            class Misspelled(Backfill):
                updates = "n"  # type: ignore[assignment]

    def test_a_field_by_which_the_records_are_walked(self) -> None:
        with pytest.raises(InvalidTask, match="by which the records are walked"):

            class Moving(Backfill):
                cursor_fields = ("-n",)

    def test_an_error_that_process_hides(self, trial: Any) -> None:
        def process(self: Any, item: Item) -> None:
            Backfill.process(self, item)
            if item.pk == MIDDLE:
                transaction.set_rollback(True)

        trial.process = process
        run = trial.run_now()
        assert counts(run)[:2] == (Status.ERRORED, 6)
        assert run.error_class == "upkeep.exceptions.SwallowedError"

    def test_a_field_that_is_not_declared(self, trial: Any) -> None:
        def process(self: Any, item: Item) -> None:
            item.pk += 1000

        trial.process = process
        run = trial.run_now()
        assert run.status == Status.ERRORED
        assert run.error_at.startswith("testapp.Item")
        assert "by which its row is found" in run.error_message

    def test_a_change_of_one_record_among_others_ends_the_run_there(
        self, trial: Any
    ) -> None:
        def process(self: Any, item: Item) -> None:
            Backfill.process(self, item)
            if item.pk >= MIDDLE:
                item.name = "not declared"

        trial.process = process
        run = trial.run_now()
        assert counts(run) == (Status.ERRORED, MIDDLE - 1, 0, 0)
        assert run.error_at == f"testapp.Item {MIDDLE}"
        assert numbers() == {pk: pk < MIDDLE for pk in range(1, 21)}
