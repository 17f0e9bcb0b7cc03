"""Declared deletes in a run: records for which process() returns True are deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.db.models.signals import post_delete, pre_delete
from django.test.utils import CaptureQueriesContext

from tests.execution.story import go_on, log_of
from tests.testapp.models import Country, Item, Parcel, Post, Receipt, Seat
from upkeep import Discard, Quarantine, Skip, Task
from upkeep.exceptions import Conflict, InvalidTask
from upkeep.models import Run
from upkeep.runs.status import Status

Known = Callable[[Any], Any]

MIDDLE = 8
ODD, EVEN = set(range(1, 21, 2)), set(range(2, 21, 2))

pytestmark = pytest.mark.usefixtures("posts", "still_clock")


class Clear(Task):
    """Delete the posts whose key is even."""

    abstract = True
    deletes = True
    calls: ClassVar[Counter[int]]
    bad: ClassVar[set[int]] = set()

    def collection(self) -> Any:
        return Post.objects.all()

    def process(self, post: Post) -> bool:
        self.calls[post.pk] += 1
        if post.pk in self.bad:
            raise ValueError(f"post {post.pk} is bad")
        return post.pk % 2 == 0


@pytest.fixture
def posts(transactional_db: None) -> None:
    """Have twenty posts."""
    Post.objects.bulk_create(
        Post(pk=pk, title=f"Post {pk}", place=pk) for pk in range(1, 21)
    )


@pytest.fixture
def trial(known: Known) -> Any:
    @known
    class Trial(Clear):
        calls: ClassVar[Counter[int]] = Counter()

    return Trial


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.status, run.done, run.failed, run.skipped


def left() -> set[int]:
    return set(Post.objects.values_list("pk", flat=True))


def test_what_process_wants_to_go_is_deleted(trial: Any) -> None:
    run = trial.run_now()
    assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
    assert left() == ODD
    assert (run.deleted, run.changed, run.conflicts) == (10, 0, 0)


def test_with_one_statement_for_all_of_a_page(trial: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        trial.run_now()
    sqls = [query["sql"] for query in queries]
    assert len([sql for sql in sqls if "DELETE" in sql and "testapp_post" in sql]) == 1


def test_that_goes_for_keys_of_any_kind(trial: Any) -> None:
    Country.objects.all().delete()
    Seat.objects.bulk_create(
        Seat(row=row, number=number) for row in range(2) for number in range(3)
    )
    trial.collection = lambda self: Seat.objects.all()
    trial.process = lambda self, seat: seat.number == 1
    assert trial.run_now().deleted == 2
    assert set(Seat.objects.values_list("number", flat=True)) == {0, 2}


def test_with_nothing_loaded_but_the_key(trial: Any) -> None:
    trial.collection = lambda self: Post.objects.only("pk")
    assert trial.run_now().deleted == 10
    assert left() == ODD


def test_an_item_that_fails_undoes_nothing_of_others(trial: Any) -> None:
    trial.bad, trial.on_error = {1, MIDDLE, 20}, [Quarantine(ValueError)]
    run = trial.run_now()
    assert counts(run) == (Status.SUCCEEDED, 17, 3, 0)
    assert left() == ODD | {MIDDLE, 20}
    assert run.deleted == 8


def test_dead_letters_are_retried_in_the_same_way(trial: Any) -> None:
    trial.bad, trial.on_error = {4, MIDDLE}, [Quarantine(ValueError)]
    parent = trial.run_now()
    trial.bad = set()
    (retrial,) = parent.dead_letters.retry()
    Post.objects.filter(pk=4).delete()
    run = go_on(retrial)
    assert counts(run) == (Status.SUCCEEDED, 1, 0, 1)
    assert (run.deleted, left()) == (1, ODD)


class TestConflict:
    """A row that somebody else has changed since it was read."""

    @pytest.fixture
    def disturbed(self, trial: Any) -> Any:
        """Have post 8 changed by others, so many times, while it is worked on."""

        def process(self: Any, post: Post) -> bool:
            wanted = Clear.process(self, post)
            if post.pk == MIDDLE and self.calls[MIDDLE] <= self.times:
                Post.objects.filter(pk=MIDDLE).update(title=self.title)
            return wanted and "keep" not in post.title

        trial.process, trial.times, trial.title = process, 1, "other"
        return trial

    def test_is_read_and_processed_again(self, disturbed: Any) -> None:
        run = disturbed.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert left() == ODD
        assert (run.deleted, run.conflicts) == (10, 1)
        assert disturbed.calls[MIDDLE] == 2

    def test_may_be_wanted_now(self, disturbed: Any) -> None:
        disturbed.title = "keep me"
        run = disturbed.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert left() == ODD | {MIDDLE}
        assert (run.deleted, run.conflicts) == (9, 1)

    def test_of_spelling_alone_is_one(self, disturbed: Any) -> None:
        disturbed.title = "post 8 "
        assert disturbed.run_now().conflicts == 1

    def test_that_does_not_end_is_an_error_of_the_item(self, trial: Any) -> None:
        def process(self: Any, post: Post) -> bool:
            if post.pk == MIDDLE:
                self.calls[MIDDLE] += 1
                title = f"the {self.calls[MIDDLE]}th"
                Post.objects.filter(pk=MIDDLE).update(title=title)
            return post.pk % 2 == 0

        trial.process, trial.on_error = process, [Quarantine(Conflict)]
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert left() == ODD | {MIDDLE}

    def test_of_a_row_that_is_gone_needs_nothing(self, trial: Any) -> None:
        def process(self: Any, post: Post) -> bool:
            if post.pk == MIDDLE:
                Post.objects.filter(pk=MIDDLE).delete()
            return post.pk % 2 == 0

        trial.process = process
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1)
        assert log_of(run) == [
            "Skipped testapp.Post 8: It is no longer in the collection."
        ]

    def test_a_column_that_process_loads_is_refused(self, trial: Any) -> None:
        trial.collection = lambda self: Post.objects.only("title")
        trial.process = lambda self, post: post.volume == 0
        run = trial.run_now()
        assert run.status == Status.ERRORED
        assert "which the collection does not load" in run.error_message
        assert len(left()) == 20


class TestWithUpdates:
    """A task may change some records and delete others."""

    @pytest.fixture
    def both(self, known: Known) -> Any:
        @known
        class Both(Clear):
            updates = ("title", "place")
            calls: ClassVar[Counter[int]] = Counter()

            def process(self, post: Post) -> bool:
                post.title = "changed"
                return super().process(post)

        return Both

    def test_both_are_written(self, both: Any) -> None:
        run = both.run_now()
        assert (run.status, run.changed, run.deleted) == (Status.SUCCEEDED, 10, 10)
        assert set(Post.objects.values_list("title", flat=True)) == {"changed"}
        assert left() == ODD

    def test_what_is_deleted_makes_room(self, both: Any) -> None:
        def process(self: Any, post: Any) -> Any:
            if post.pk % 2:
                post.place += 1  # That of the next one, which goes.
            return post.pk % 2 == 0

        both.process = process
        run = both.run_now()
        assert (run.status, run.changed, run.deleted) == (Status.SUCCEEDED, 10, 10)


class TestRefused:
    """Where delete() would do more than to delete a row."""

    def errors(self, trial: Any, queryset: Any) -> str:
        trial.collection = lambda self: queryset
        run = trial.run_now()
        assert run.status == Status.ERRORED
        message: str = run.error_message
        return message

    def test_where_others_refer_to_it(self, trial: Any) -> None:
        message = self.errors(trial, Item.objects.all())
        assert "testapp.Item is what" in message
        assert "call record.delete() in process()" in message

    def test_of_several_tables(self, trial: Any) -> None:
        assert "several tables" in self.errors(trial, Parcel.objects.all())

    @pytest.mark.parametrize("signal", [pre_delete, post_delete])
    def test_where_somebody_listens(self, trial: Any, signal: Any) -> None:
        def hear(**_: Any) -> None:
            pass

        signal.connect(hear, sender=Post)
        try:
            assert "has receivers of" in self.errors(trial, Post.objects.all())
        finally:
            signal.disconnect(hear, sender=Post)

    def test_a_collection_of_other_things(self, trial: Any) -> None:
        assert "leave deletes out and delete in process()" in self.errors(trial, [1])

    def test_but_not_what_the_row_itself_refers_to(self, trial: Any) -> None:
        trial.collection = lambda self: Receipt.objects.all()
        assert trial.run_now().status == Status.SUCCEEDED

    def test_an_answer_that_is_none(self, trial: Any) -> None:
        trial.process = lambda self, post: "yes" if post.pk == MIDDLE else None
        run = trial.run_now()
        assert counts(run)[:2] == (Status.ERRORED, 7)
        assert "return True for a record to delete" in run.error_message
        assert len(left()) == 20

    def test_what_is_not_true_or_false(self) -> None:
        with pytest.raises(InvalidTask, match="deletes must be True or False"):

            class Vague(Clear):
                deletes = ("pk",)  # type: ignore[assignment]

    def test_without_a_transaction(self) -> None:
        with pytest.raises(InvalidTask, match="atomic = False has none"):

            class Loose(Clear):
                atomic = False


def test_skipped_records_stay(trial: Any) -> None:
    def process(self: Any, post: Post) -> bool:
        if post.pk == MIDDLE:
            raise Skip
        return post.pk % 2 == 0

    trial.process, trial.on_error = process, [Discard(ValueError)]
    assert counts(trial.run_now()) == (Status.SUCCEEDED, 19, 0, 1)
    assert left() == ODD | {MIDDLE}
