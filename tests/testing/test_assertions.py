"""An item that comes twice changes nothing, a run that is interrupted ends the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import F
from django.test import TestCase, TransactionTestCase
from django.utils import timezone
from pytest_django import Settings

from tests.registering import registered
from tests.testapp.maintenance import CountUp, ImportItems, Numbers, Report
from tests.testapp.models import Document, Effect, Item, Reading, Stamp
from upkeep import Batches, Task, parameter
from upkeep.exceptions import AlreadyActive, InvalidParameters
from upkeep.models import Run
from upkeep.testing import assert_idempotent, assert_resumable, run_inline, upload


@contextmanager
def known(task: type[Task]) -> Iterator[None]:
    """Let a task made inside a test be found as one of an app is."""
    task.app_label = "testapp"
    with registered({f"tests.{task.__name__}": task}):
        yield


class Walk(Task):
    """Walk the items; what is done with them is said below."""

    abstract = True

    def collection(self) -> Any:
        return Item.objects.all()


def set_to_one() -> type[Task]:
    class SetToOne(Walk):
        def process(self, item: Item) -> None:
            item.n = 1
            item.save()
            Stamp.objects.update_or_create(item=item)

    return SetToOne


def in_memory() -> type[Task]:
    class InMemory(Walk):
        """Number the items by what it remembers."""

        last = 0

        def process(self, item: Item) -> None:
            self.last += 1
            Item.objects.filter(pk=item.pk).update(n=self.last)

    return InMemory


def items(number: int = 4) -> list[Item]:
    return [Item.objects.create(name=f"item {n}") for n in range(1, number + 1)]


class Laws:
    """What holds whatever the test is wrapped in."""

    def test_one_that_stands_it_passes(self) -> None:
        first, *_ = items()
        task = set_to_one()
        assert_idempotent(task, first)
        with known(task):
            assert_resumable(task)

    def test_one_that_does_not_fails(self) -> None:
        first, *_ = items()
        with pytest.raises(AssertionError, match=r"CountUp.* is not idempotent"):
            assert_idempotent(CountUp, first)
        task = in_memory()
        with known(task), pytest.raises(AssertionError, match="is not resumable"):
            assert_resumable(task)

    def test_what_resuming_took_is_rolled_back(self) -> None:
        items()
        assert_resumable(CountUp)
        assert not Effect.objects.exists()
        assert not Run.objects.exists()
        assert not Item.objects.exclude(n=0).exists()
        assert not connection.needs_rollback


class TestInTestCase(Laws, TestCase):
    pass


class TestInTransactionTestCase(Laws, TransactionTestCase):
    pass


@pytest.mark.django_db(transaction=True)
class TestWithTransactionalDb(Laws):
    pass


def complaint(task: type[Task], *args: Any, **options: Any) -> list[str]:
    """Return the lines that name rows."""
    check = assert_idempotent if args else assert_resumable
    with pytest.raises(AssertionError) as caught:
        check(task, *args, **options)
    return [line[2:] for line in str(caught.value).splitlines() if line[:2] == "  "]


@pytest.mark.django_db
class TestIdempotent(Laws):
    def test_names_the_rows_and_what_changed(self) -> None:
        first, *_ = items()
        found = complaint(CountUp, first)
        effect = Effect.objects.latest("pk")
        assert sorted(found) == [
            f"testapp.Effect {effect.pk} was added: id={effect.pk}, item={first.pk}",
            f"testapp.Item {first.pk} n: 1 became 2",
        ]

    def test_names_rows_that_are_gone(self) -> None:
        class DropTheLast(Walk):
            def process(self, item: Item) -> None:
                Effect.objects.latest("pk").delete()

        (item,) = items(1)
        effects = [Effect.objects.create(item=n) for n in range(3)]
        found = complaint(DropTheLast, item)
        assert found == [f"testapp.Effect {effects[1].pk} is gone"]

    def test_names_ten_rows_and_counts_the_others(self) -> None:
        class AddMany(Walk):
            def process(self, item: Item) -> None:
                Effect.objects.bulk_create(Effect(item=n) for n in range(15))

        (item,) = items(1)
        *shown, last = complaint(AddMany, item)
        assert (len(shown), last) == (10, "and 5 more")

    def test_sees_tables_between_models(self) -> None:
        class Enlist(Walk):
            def process(self, item: Item) -> None:
                user, _ = User.objects.get_or_create(username="ada")
                user.groups.set([Group.objects.create(name=str(Group.objects.count()))])

        (item,) = items(1)
        assert any("auth.User_groups" in line for line in complaint(Enlist, item))

    def test_reads_a_record_again_for_the_second_time(self) -> None:
        class Toggle(Walk):
            """Done from what is in memory, it would be the same twice."""

            def process(self, item: Item) -> None:
                Item.objects.filter(pk=item.pk).update(n=item.n + 1)

        (item,) = items(1)
        assert complaint(Toggle, item) == [f"testapp.Item {item.pk} n: 1 became 2"]

    def test_gives_a_row_as_it_was(self) -> None:
        class PopName(Task):
            def collection(self) -> Any:
                return [{"name": "a"}]

            def process(self, row: dict[str, str]) -> None:
                Item.objects.get_or_create(name=row.pop("name"))

        assert_idempotent(PopName, {"name": "a"})

    def test_takes_a_batch(self) -> None:
        class CountBatches(Task):
            def collection(self) -> Any:
                return Batches(Item.objects.all(), size=2)

            def process(self, batch: Any) -> None:
                batch.update(n=F("n") + 1)

        items()
        assert len(complaint(CountBatches, Item.objects.all())) == 4

    def test_passes_one_that_deletes_its_item(self) -> None:
        class Delete(Walk):
            def process(self, item: Item) -> None:
                item.delete()

        (item,) = items(1)
        assert_idempotent(Delete, item)

    def test_takes_no_notice_of_what_it_is_told_to_ignore(self) -> None:
        class Check(Walk):
            def process(self, item: Item) -> None:
                Stamp.objects.filter(item=item).update(checked_at=timezone.now())

        (item,) = items(1)
        Stamp.objects.create(item=item)
        assert "checked_at: " in complaint(Check, item)[0]
        assert_idempotent(Check, item, ignore=["testapp.Stamp.checked_at"])
        with pytest.raises(LookupError):
            assert_idempotent(Check, item, ignore=["testapp.Nothing.checked_at"])

    def test_takes_parameters(self) -> None:
        class SetTo(Walk):
            number: int = parameter(forms.IntegerField())

            def process(self, item: Item) -> None:
                Item.objects.filter(pk=item.pk).update(n=self.number)

        (item,) = items(1)
        assert_idempotent(SetTo, item, number="5")
        assert Item.objects.get().n == 5
        with pytest.raises(InvalidParameters):
            assert_idempotent(SetTo, item, number="many")

    def test_lets_an_error_of_the_task_out(self) -> None:
        class Fail(Walk):
            def process(self, item: Item) -> None:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            assert_idempotent(Fail, items(1)[0])


@pytest.mark.django_db
class TestResumable(Laws):
    def test_says_after_which_item_and_what_is_different(self) -> None:
        made = items(3)
        task = in_memory()
        with known(task), pytest.raises(AssertionError) as caught:
            assert_resumable(task)
        text = str(caught.value)
        assert "InMemory is not resumable. Stopped after 1 of 3 items" in text
        assert f"testapp.Item {made[1].pk} n: 2 became 1" in text

    def test_knows_new_rows_by_their_order_and_not_by_keys_that_differ(self) -> None:
        class Make(Walk):
            def process(self, item: Item) -> None:
                copy = Item.objects.create(name=f"copy of {item.name}")
                Stamp.objects.create(item=copy)
                document = Document.objects.create()
                Reading.objects.create(document=document, number=item.pk)

            def collection(self) -> Any:
                return list(Item.objects.order_by("pk")[:3])

        items(3)
        with known(Make):
            assert_resumable(Make)

    def test_sees_new_rows_that_differ(self) -> None:
        class Remember(Walk):
            last = "nothing"

            def process(self, item: Item) -> None:
                Group.objects.create(name=f"{item.pk} after {self.last}")
                self.last = item.name

        items(2)
        with known(Remember):
            found = complaint(Remember)
        assert len(found) == 1
        assert found[0].startswith("auth.Group (new, no. 2) name: ")

    def test_sees_that_items_are_left_out(self) -> None:
        class Dwindle(Task):
            """Take for its collection what it has not done yet."""

            def collection(self) -> Any:
                return list(Item.objects.filter(n=0).order_by("pk"))

            def process(self, item: Item) -> None:
                Item.objects.filter(pk=item.pk).update(n=1)

        items(4)
        with known(Dwindle):
            assert complaint(Dwindle)

    def test_takes_no_notice_of_what_it_is_told_to_ignore(self) -> None:
        class Check(Walk):
            def process(self, item: Item) -> None:
                Stamp.objects.filter(item=item).update(checked_at=timezone.now())

        for item in items(2):
            Stamp.objects.create(item=item)
        with known(Check):
            assert complaint(Check)
            assert_resumable(Check, ignore=["testapp.Stamp.checked_at"])

    @pytest.mark.parametrize("number", [0, 1])
    def test_wants_something_to_stop_behind(self, number: int) -> None:
        items(number)
        with pytest.raises(AssertionError, match="Make two items or more for it"):
            assert_resumable(CountUp)

    def test_wants_more_of_a_job_than_its_one_step(self) -> None:
        with pytest.raises(AssertionError, match="Report has no item to stop behind"):
            assert_resumable(Report)

    def test_tells_of_a_run_that_does_not_succeed(self) -> None:
        class Fail(Walk):
            def process(self, item: Item) -> None:
                raise ZeroDivisionError("by nothing")

        items(2)
        with known(Fail), pytest.raises(AssertionError) as caught:
            assert_resumable(Fail)
        assert "Fail does not succeed, without being stopped" in str(caught.value)
        assert "ZeroDivisionError by nothing\nTraceback" in str(caught.value)

    def test_tells_of_a_run_that_does_not_succeed_once_resumed(self) -> None:
        class FailTheSecond(Walk):
            def collection(self) -> Any:
                if self.run and self.run.cursor:
                    raise ZeroDivisionError
                return super().collection()

            def process(self, item: Item) -> None:
                pass

        items(2)
        with known(FailTheSecond), pytest.raises(AssertionError) as caught:
            assert_resumable(FailTheSecond)
        assert "stopped after 1 items and resumed" in str(caught.value)

    def test_leaves_no_file(self, settings: Settings, tmp_path: Path) -> None:
        settings.BASE_DIR = tmp_path
        text = "name,n\na,1\nb,2\nc,3\n"
        assert_resumable(ImportItems, csv_file=upload(text, name="items.csv"))
        assert not list(tmp_path.rglob("items.csv"))

    def test_is_refused_while_such_a_run_is_active(self) -> None:
        items(2)
        run_inline(CountUp, stop_after=1)
        with pytest.raises(AlreadyActive):
            assert_resumable(CountUp)

    @pytest.mark.parametrize("atomic", [True, False])
    def test_takes_a_task_of_either_kind(self, atomic: bool) -> None:
        class Plain(Numbers):
            pass

        Plain.atomic = atomic
        with known(Plain):
            assert_resumable(Plain)
            with transaction.atomic():
                assert not Effect.objects.exists()
