"""Declared creates in a run: what process() returns is inserted, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.execution.story import effects, go_on, log_of, once, resume
from tests.testapp.models import Country, Effect, Item, Parcel, Post, Stamp
from upkeep import Batches, Creates, Discard, Job, Quarantine, Skip, Task, parameter
from upkeep.exceptions import InvalidResult, InvalidTask
from upkeep.forms import CSVField
from upkeep.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.collections.files import CSVFile

Known = Callable[[Any], Any]

MIDDLE = 7

pytestmark = pytest.mark.usefixtures("transactional_db", "still_clock")


class Make(Task):
    """Make something of each of twenty numbers."""

    abstract = True
    creates: ClassVar[Any] = Effect
    bad: ClassVar[set[int]] = set()

    def collection(self) -> Any:
        return range(1, 21)

    def process(self, number: Any) -> Any:
        if number in self.bad:
            raise ValueError(f"{number} is bad")
        return Effect(item=number)


@pytest.fixture
def trial(known: Known) -> Any:
    @known
    class Trial(Make):
        pass

    return Trial


@pytest.fixture
def posts(known: Known) -> Any:
    """Return a task that makes posts at twenty places, of which two are taken."""

    @known
    class Posts(Make):
        creates: ClassVar[Any] = Post

        def process(self, number: int) -> Post:
            return Post(title=f"new {number}", place=number)

    Post.objects.create(title="old", place=3)
    Post.objects.create(title="old", place=MIDDLE)
    return Posts


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.status, run.done, run.failed, run.skipped


def titles() -> dict[int | None, str]:
    return dict(Post.objects.values_list("place", "title"))


ALL = once(*range(1, 21))


def test_what_process_returns_is_inserted(trial: Any) -> None:
    run = trial.run_now()
    assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
    assert effects() == ALL
    assert (run.created, run.changed) == (20, 0)


def test_with_one_statement_for_all_of_a_page(trial: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        trial.run_now()
    sqls = [query["sql"] for query in queries]
    assert (
        len([each for each in sqls if each.startswith("INSERT") and "effect" in each])
        == 1
    )


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_of_one_item_there_may_be_several(trial: Any, kind: Any) -> None:
    trial.process = lambda self, number: kind([Effect(item=number) for _ in "ab"])
    run = trial.run_now()
    assert (run.done, run.created) == (20, 40)
    assert effects() == dict.fromkeys(range(1, 21), 2)


def test_or_none(trial: Any) -> None:
    trial.process = lambda self, number: Effect(item=number) if number == 1 else None
    run = trial.run_now()
    assert (run.done, run.created) == (20, 1)


class TestYield:
    """A process() that yields what it makes."""

    @pytest.fixture
    def yielding(self, known: Known) -> Any:
        @known
        class Yielding(Make):
            def process(self, number: int) -> Iterator[Effect]:
                yield Effect(item=number)
                if number in self.bad:
                    raise ValueError(f"{number} is bad")
                if number == MIDDLE:
                    raise Skip("not this one")
                yield Effect(item=number)

        return Yielding

    def test_is_a_way_to_say_it(self, yielding: Any) -> None:
        yielding.bad, yielding.on_error = {3}, [Quarantine(ValueError)]
        run = yielding.run_now()
        assert counts(run) == (Status.SUCCEEDED, 18, 1, 1)
        assert effects() == dict.fromkeys(set(range(1, 21)) - {3, MIDDLE}, 2)
        assert log_of(run) == ["Skipped item 7: not this one"]

    def test_is_refused_where_nothing_is_created(self) -> None:
        with pytest.raises(InvalidTask, match="says what it creates may yield"):

            class Lazy(Make):
                creates = None

                def process(self, number: int) -> Iterator[Effect]:
                    yield Effect(item=number)

    def test_is_refused_of_an_async_function(self) -> None:
        with pytest.raises(InvalidTask, match="must be a plain method"):

            class Late(Make):
                async def process(self, number: int) -> Any:
                    yield Effect(item=number)


class TestItemsThatFail:
    """Nothing of an item that fails is inserted, and everything of its neighbours."""

    def test_in_process(self, trial: Any) -> None:
        trial.bad, trial.on_error = {1, MIDDLE, 20}, [Quarantine(ValueError)]
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 17, 3, 0)
        assert effects() == once(*set(range(1, 21)) - trial.bad)
        assert run.created == 17

    def test_without_a_rule(self, trial: Any) -> None:
        trial.bad = {MIDDLE}
        run = trial.run_now()
        assert counts(run) == (Status.ERRORED, 6, 0, 0)
        assert effects() == once(*range(1, MIDDLE))
        trial.bad = set()
        assert counts(resume(run)) == (Status.SUCCEEDED, 20, 0, 0)
        assert effects() == ALL

    def test_in_the_statement_that_inserts(self, posts: Any) -> None:
        posts.on_error = [Quarantine(Exception)]
        run = posts.run_now()
        assert counts(run) == (Status.SUCCEEDED, 18, 2, 0)
        assert [each.item for each in run.dead_letters.all()] == ["item 3", "item 7"]
        assert run.dead_letters.first().error_class.endswith("IntegrityError")
        assert list(titles().values()).count("old") == 2
        assert (run.created, Post.objects.count()) == (18, 20)

    def test_in_that_statement_without_a_rule(self, posts: Any) -> None:
        run = posts.run_now()
        assert counts(run) == (Status.ERRORED, 2, 0, 0)
        assert run.error_at == "item 3"
        Post.objects.filter(title="old").delete()
        assert counts(resume(run)) == (Status.SUCCEEDED, 20, 0, 0)

    def test_at_the_commit(self, items: list[Item], trial: Any) -> None:
        # What refers to nothing is refused by PostgreSQL and SQLite at the end.
        trial.creates, trial.on_error = Stamp, [Quarantine(Exception)]
        trial.process = lambda self, number: Stamp(
            item_id=1000 if number == MIDDLE else number
        )
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert (run.created, Stamp.objects.count()) == (19, 19)

    def test_are_retried_from_their_dead_letters(self, posts: Any) -> None:
        posts.on_error = [Quarantine(Exception)]
        parent = posts.run_now()
        Post.objects.filter(place=3, title="old").delete()
        (retrial,) = parent.dead_letters.retry()
        run = go_on(retrial)
        assert counts(run) == (Status.SUCCEEDED, 1, 1, 0)
        assert (titles()[3], titles()[MIDDLE]) == ("new 3", "old")
        assert run.created == 1

    def test_in_what_was_returned(self, trial: Any) -> None:
        old = Effect.objects.create(item=0)
        for strange, word in [
            (3, "int"),
            ([Item()], "Item"),
            ("ab", "str"),
            ({"item": MIDDLE}, "dict"),
        ]:
            trial.process = lambda self, number, strange=strange: (
                strange if number == MIDDLE else Effect(item=number)
            )
            run = trial.run_now()
            assert counts(run)[:2] == (Status.ERRORED, 6)
            assert run.error_at == "item 7"
            assert f"a value of type {word}" in run.error_message
            assert run.error_class == f"upkeep.exceptions.{InvalidResult.__name__}"
        trial.creates, trial.process = Item, lambda self, number: Parcel(weight=1)
        assert "a value of type Parcel" in trial.run_now().error_message
        trial.creates, trial.process = Effect, lambda self, number: old
        assert "in the database already" in trial.run_now().error_message


class TestRowsThatAreThere:
    """Creates() says what becomes of them."""

    def test_are_left_alone(self, posts: Any) -> None:
        posts.creates = Creates(Post, ignore_conflicts=True)
        run = posts.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert (titles()[3], titles()[MIDDLE], titles()[1]) == ("old", "old", "new 1")
        assert run.created == 18  # Those that were written.

    def test_but_no_other_error_is_hidden(self, posts: Any) -> None:
        # MariaDB would write "" instead, SQLite nothing, and neither would say so.
        posts.creates = Creates(Post, ignore_conflicts=True)
        posts.on_error = [Quarantine(Exception)]
        posts.process = lambda self, number: Post(
            **{"title": None} if number == 5 else {"title": "new"}, place=number
        )
        run = posts.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert run.created == 17
        assert titles().keys() == set(range(1, 21)) - {5}

    def test_nor_is_anything_cut_off(self, trial: Any) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("by design: SQLite takes a text of any length")
        trial.creates = Creates(Country, ignore_conflicts=True)
        trial.on_error = [Quarantine(Exception)]
        trial.process = lambda self, number: Country(
            code="far too long a code" if number == MIDDLE else str(number)
        )
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 1, 0)
        assert (run.created, Country.objects.count()) == (19, 19)

    def test_or_changed(self, posts: Any) -> None:
        posts.creates = Creates(Post, update_fields=["title"], unique_fields=["place"])
        keys = dict(Post.objects.values_list("place", "pk"))
        run = posts.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert titles() == {place: f"new {place}" for place in range(1, 21)}
        assert {place: Post.objects.get(place=place).pk for place in keys} == keys
        assert run.created == 20

    def test_twice_in_a_page_the_later_one_counts(self, posts: Any) -> None:
        posts.creates = Creates(Post, update_fields=["title"], unique_fields=["place"])
        posts.process = lambda self, number: Post(title=str(number), place=number % 10)
        run = posts.run_now()
        assert counts(run) == (Status.SUCCEEDED, 20, 0, 0)
        assert titles() == {place: str(place + 10) for place in range(1, 10)} | {
            0: "20"
        }


class TestCollections:
    """Whatever is walked, objects can be made of it."""

    def test_rows_of_a_file(
        self, known: Known, tmp_path: Path, settings: Settings
    ) -> None:
        settings.BASE_DIR = tmp_path

        @known
        class Import(Make):
            csv_file: CSVFile = parameter(CSVField())

            def collection(self) -> Any:
                return self.csv_file

            def process(self, row: dict[str, str]) -> Effect:
                return Effect(item=int(row["n"]))

        path = tmp_path / "rows.csv"
        path.write_text("n\n1\n2\ntwo\n4\n", encoding="utf-8")
        Import.on_error = [Discard(ValueError)]
        run = Import.run_now(csv_file=path)
        assert counts(run) == (Status.SUCCEEDED, 3, 0, 1)
        assert effects() == once(1, 2, 4)

    def test_records(self, items: list[Item], trial: Any) -> None:
        trial.collection = lambda self: Item.objects.all()
        trial.process = lambda self, item: Effect(item=item.pk)
        assert counts(trial.run_now()) == (Status.SUCCEEDED, 20, 0, 0)
        assert effects() == ALL

    def test_batches_some_of_whose_records_fail(
        self, items: list[Item], known: Known
    ) -> None:
        @known
        class OfBatches(Make):
            on_error = (Quarantine(ValueError),)

            def collection(self) -> Any:
                return Batches(Item.objects.all(), size=8)

            def process(self, batch: Any) -> Iterator[Effect]:
                for item in batch:
                    yield Effect(item=item.pk)
                    if item.pk == MIDDLE:
                        raise ValueError

        run = OfBatches.run_now()
        assert (run.status, run.created) == (Status.SUCCEEDED, 19)
        assert effects() == once(*set(range(1, 21)) - {MIDDLE})
        assert [each.item for each in run.dead_letters.all()] == ["testapp.Item 7"]


class TestWithUpdates:
    """A task may change what it walks and make something of it."""

    @pytest.fixture
    def both(self, items: list[Item], known: Known) -> Any:
        @known
        class Both(Make):
            updates = ("n",)
            disturbed = False

            def collection(self) -> Any:
                return Item.objects.all()

            def process(self, item: Item) -> Effect:
                item.n += 1
                if item.pk == MIDDLE and not Both.disturbed:
                    Both.disturbed = True
                    Item.objects.filter(pk=MIDDLE).update(n=41)
                return Effect(item=item.n * 100 + item.pk)

        return Both

    def test_both_are_written(self, both: Any) -> None:
        both.disturbed = True
        run = both.run_now()
        assert (run.changed, run.created) == (20, 20)

    def test_nothing_is_made_of_what_was_changed_meanwhile(self, both: Any) -> None:
        run = both.run_now()
        assert (run.status, run.conflicts) == (Status.SUCCEEDED, 1)
        made = set(effects()) - {100 + pk for pk in range(1, 21)}
        assert made == {4200 + MIDDLE}
        assert Effect.objects.count() == 20


class TestRefused:
    """What cannot be declared, with what to write instead."""

    def test_what_is_no_model(self) -> None:
        for strange in ("blog.Post", 3, Effect(item=1)):
            with pytest.raises(InvalidTask, match="must be a model"):
                type("Strange", (Make,), {"creates": strange, "__module__": __name__})
        with pytest.raises(InvalidTask, match="is no model"):
            Creates("blog.Post")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"update_fields": ["title"]}, "belong together"),
            ({"unique_fields": ["title"]}, "belong together"),
            (
                {
                    "ignore_conflicts": True,
                    "update_fields": ["title"],
                    "unique_fields": ["place"],
                },
                "not both",
            ),
            ({"update_fields": [3], "unique_fields": ["place"]}, "field names"),
        ],
    )
    def test_options_that_say_nothing(self, options: Any, sentence: str) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            Creates(Post, **options)

    def test_fields_that_are_not_there(self, posts: Any) -> None:
        posts.creates = Creates(Post, update_fields=["titel"], unique_fields=["place"])
        run = posts.run_now()
        assert run.status == Status.ERRORED
        assert "names 'titel', but testapp.Post has no such field" in run.error_message

    @pytest.mark.parametrize("names", [["title"], ["volume"], ["place", "title"]])
    def test_fields_that_are_not_unique(self, posts: Any, names: list[str]) -> None:
        """MariaDB would insert a row that is there once more, and say nothing."""
        posts.creates = Creates(Post, update_fields=["slug"], unique_fields=names)
        run = posts.run_now()
        assert run.status == Status.ERRORED
        assert "which the database does not keep unique" in run.error_message

    @pytest.mark.parametrize("names", [["id"], ["place"], ["number", "volume"]])
    def test_fields_that_are_unique_are_not_refused(
        self, posts: Any, names: list[str]
    ) -> None:
        posts.creates = Creates(Post, update_fields=["slug"], unique_fields=names)
        posts.process = lambda self, number: Post(
            pk=number + 100, place=number + 100, volume=2, number=number
        )
        assert counts(posts.run_now()) == (Status.SUCCEEDED, 20, 0, 0)

    def test_a_model_of_several_tables(self, trial: Any) -> None:
        trial.creates = Parcel
        run = trial.run_now()
        assert run.status == Status.ERRORED
        assert "lies in several tables" in run.error_message

    def test_without_a_transaction(self) -> None:
        with pytest.raises(InvalidTask, match="atomic = False has none"):

            class Loose(Make):
                atomic = False

    def test_beside_deletes(self) -> None:
        with pytest.raises(InvalidTask, match="both go by what process"):

            class Torn(Make):
                deletes = True

    def test_of_a_job(self) -> None:
        with pytest.raises(InvalidTask, match="is for tasks with items"):

            class Once(Job):
                atomic = True
                creates = Effect
