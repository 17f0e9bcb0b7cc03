"""What process() changed is saved, and nothing else; what would be lost is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import django
import pytest
from django.db import DatabaseError, IntegrityError, connection, models
from django.db.models import Count, F, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from tests.execution.updates.pages import put, raw, setter, work
from tests.testapp.models import Document, Item, Parcel, Post, Seat, Specimen
from upkeep.exceptions import InvalidTask, InvalidUpdate
from upkeep.execution.updates import Outcome, Updates
from upkeep.tasks.collections import collect
from upkeep.tasks.collections.querysets import RecordsCollection

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def all_changed(number: int) -> Outcome:
    return Outcome(changed=number, unchanged=0, conflicts=[])


@contextmanager
def table_of(model: type[models.Model]) -> Iterator[None]:
    """Have the table of a model that only one test knows."""
    with connection.schema_editor() as editor:
        editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(model)


class TestWhatIsSaved:
    def test_is_what_has_changed(self) -> None:
        Item.objects.bulk_create(Item(pk=pk, n=pk % 2) for pk in range(1, 8))
        outcome = work(Item.objects.all(), "n", process=setter(n=1))
        assert outcome == Outcome(changed=3, unchanged=4, conflicts=[])
        assert not Item.objects.exclude(n=1).exists()

    def test_may_be_nothing(self) -> None:
        assert work(Item.objects.all(), "n", process=setter(n=1)) == all_changed(0)

    def test_of_a_page_takes_one_statement(self) -> None:
        Post.objects.bulk_create(Post(pk=pk) for pk in range(1, 101))
        writer = Updates(Post, ["slug"], "default")
        queries = CaptureQueriesContext(connection)
        for slug in ("first", "second"):  # The first one learns what the server takes.
            records = list(writer.reading(Post.objects.all()))
            sheets = writer.remember(records)
            for record in records:
                record.slug = slug
            with queries:
                writer.write(sheets)
        statements = [each["sql"] for each in queries.captured_queries]
        assert len([sql for sql in statements if "SAVEPOINT" not in sql]) == 1

    def test_is_told_of_by_no_signal_and_no_hook(self) -> None:
        heard: list[Any] = []

        def hear(**kwargs: Any) -> None:
            heard.append(kwargs)

        Item.objects.create()
        for signal in (pre_save, post_save):
            signal.connect(hear, sender=Item)
        try:
            work(Item.objects.all(), "n", process=setter(n=1))
        finally:
            for signal in (pre_save, post_save):
                signal.disconnect(hear, sender=Item)
        assert heard == []

    def test_leaves_alone_what_is_declared_and_did_not_change(self) -> None:
        post = Post.objects.create()
        spelled = '{"a":  1}'
        put(Post, post.pk, "extra", f"'{spelled}'")
        was = raw(Post, post.pk, "extra")
        work(Post.objects.all(), "slug", "extra", process=setter(slug="new"))
        assert raw(Post, post.pk, "extra") == was

    def test_has_the_time_at_which_it_was_written(self) -> None:
        Post.objects.bulk_create([Post(pk=1), Post(pk=2, slug="new")])
        Post.objects.update(written_at=LONG_AGO)
        work(Post.objects.all(), "slug", process=setter(slug="new"))
        assert Post.objects.get(pk=1).written_at > LONG_AGO
        assert Post.objects.get(pk=2).written_at == LONG_AGO

    def test_has_one_time_for_all_of_a_page_which_records_know(self) -> None:
        Post.objects.bulk_create(Post(pk=pk) for pk in range(1, 5))
        records = []

        def process(post: Post) -> None:
            post.slug = "new"
            records.append(post)

        work(Post.objects.all(), "slug", process=process)
        (moment,) = set(Post.objects.values_list("written_at", flat=True))
        assert {post.written_at for post in records} == {moment}

    def test_has_that_time_although_it_is_not_loaded(self) -> None:
        Post.objects.create()
        Post.objects.update(written_at=LONG_AGO)
        work(Post.objects.only("slug"), "slug", process=setter(slug="new"))
        assert Post.objects.get().written_at > LONG_AGO

    @pytest.mark.parametrize(
        ("field", "value", "saved"),
        [
            ("char", mark_safe("safe"), "safe"),
            ("char", gettext_lazy("lazy"), "lazy"),
            ("char", 7, "7"),
            ("integer", "7", 7),
            ("integer", True, 1),
            ("real", 1, 1.0),
            ("decimal", "1.5", 1.5),
            ("day", "2024-02-29", datetime(2024, 2, 29).date()),  # noqa: DTZ001
            ("code", "00000000000000000000000000000001", None),
        ],
    )
    def test_may_be_of_any_type_that_save_takes(
        self, field: str, value: Any, saved: Any
    ) -> None:
        one, twin = Specimen.objects.bulk_create([Specimen(), Specimen()])
        Specimen.objects.create(char="another")
        outcome = work(
            Specimen.objects.exclude(pk=twin.pk),
            field,
            process=setter(**{field: value}),
        )
        setattr(twin, field, value)
        twin.save()
        assert outcome == all_changed(2)
        assert raw(Specimen, one.pk, field) == raw(Specimen, twin.pk, field)
        if saved is not None:
            assert Specimen.objects.filter(**{field: saved}, pk=one.pk).exists()

    def test_may_be_a_relation(self) -> None:
        owner = Item.objects.create()
        Specimen.objects.create()
        outcome = work(Specimen.objects.all(), "owner", process=setter(owner=owner))
        assert outcome == all_changed(1)
        assert Specimen.objects.get().owner == owner

    def test_may_be_a_relation_to_what_process_saves(self) -> None:
        Specimen.objects.create()

        def process(specimen: Specimen) -> None:
            specimen.owner = Item()
            specimen.owner.save()

        work(Specimen.objects.all(), "owner", process=process)
        assert Specimen.objects.get().owner == Item.objects.get()

    def test_is_no_relation_to_what_nobody_saved(self) -> None:
        Specimen.objects.create()
        with pytest.raises(ValueError, match="unsaved related object 'owner'"):
            work(Specimen.objects.all(), "owner", process=setter(owner=Item()))

    def test_may_be_named_by_its_column(self) -> None:
        owner = Item.objects.create()
        Specimen.objects.create()
        work(Specimen.objects.all(), "owner_id", process=setter(owner=owner))
        assert Specimen.objects.get().owner == owner

    def test_of_records_with_annotations_and_relations(self) -> None:
        owner = Item.objects.create(name="Ada")
        Specimen.objects.create(owner=owner, document={"a": 1})

        def process(specimen: Any) -> None:
            specimen.char = f"{specimen.owner.name} {specimen.number}"

        records = Specimen.objects.annotate(
            number=Count("paper"), greeting=Concat("owner__name", Value("!"))
        )
        outcome = work(records.select_related("owner"), "char", process=process)
        assert outcome == all_changed(1)
        assert Specimen.objects.get().char == "Ada 0"

    def test_of_records_with_parts_of_relations(self) -> None:
        paper = Document.objects.create()
        Specimen.objects.create(paper=paper)
        records = Specimen.objects.select_related("paper").only("char", "paper__id")
        outcome = work(records, "char", process=setter(char="x"))
        assert outcome == all_changed(1)

    def test_of_records_with_different_columns_loaded(self) -> None:
        Post.objects.bulk_create(Post(pk=pk, title=f"{pk}") for pk in range(1, 4))
        writer = Updates(Post, ["slug"], "default")
        records = list(writer.reading(Post.objects.only("slug").order_by("pk")))
        assert records[1].title == "2"  # As a receiver of post_init may ask.
        sheets = writer.remember(records)
        Post.objects.update(title="theirs")
        for record in records:
            record.slug = "new"
        outcome = writer.write(sheets)
        assert outcome == Outcome(changed=2, unchanged=0, conflicts=[2])
        assert set(Post.objects.filter(slug="new").values_list("pk", flat=True)) == {
            1,
            3,
        }

    def test_of_a_walk_goes_on_behind_each_page(self) -> None:
        Post.objects.bulk_create(Post(pk=pk, title=f"{pk}") for pk in range(1, 6))
        writer = Updates(Post, ["slug"], "default")
        walk = collect(Post.objects.only("slug"), alias="default")
        assert isinstance(walk, RecordsCollection)
        walk.records = writer.reading(walk.records)
        cursor, sizes = None, []
        for _ in range(3):
            page = walk.page(cursor, 2)
            sheets = writer.remember(page.items)
            for post in page.items:
                post.slug = f"post-{post.pk}"
            sizes.append(writer.write(sheets).changed)
            cursor = page.cursor_after(len(page.items) - 1)
        assert sizes == [2, 2, 1]
        assert walk.count() == 5
        assert Post.objects.get(pk=5).slug == "post-5"


class TestAValueThatIsChangedInPlace:
    @pytest.mark.parametrize("field", ["document", "cipher"])
    def test_is_saved(self, field: str) -> None:
        Specimen.objects.create(**{field: {"a": [1]}})
        outcome = work(
            Specimen.objects.all(),
            field,
            process=lambda specimen: getattr(specimen, field)["a"].append(2),
        )
        assert outcome == all_changed(1)
        assert getattr(Specimen.objects.get(), field) == {"a": [1, 2]}

    @pytest.mark.parametrize("field", ["document", "cipher"])
    def test_and_is_not_declared_is_told(self, field: str) -> None:
        Specimen.objects.create(**{field: {"a": [1]}})
        with pytest.raises(InvalidUpdate, match=f"process.. changed {field} of"):
            work(
                Specimen.objects.all(),
                "char",
                process=lambda specimen: getattr(specimen, field)["a"].append(2),
            )

    @pytest.mark.parametrize("field", ["document", "cipher"])
    def test_and_back_is_unchanged(self, field: str) -> None:
        Specimen.objects.create(**{field: {"a": [1]}})

        def process(specimen: Specimen) -> None:
            getattr(specimen, field)["a"].append(2)
            getattr(specimen, field)["a"].pop()

        outcome = work(Specimen.objects.all(), field, process=process)
        assert outcome == Outcome(changed=0, unchanged=1, conflicts=[])

    def test_is_told_from_what_python_takes_for_equal(self) -> None:
        Specimen.objects.create(document=[1])
        outcome = work(
            Specimen.objects.all(), "document", process=setter(document=[True])
        )
        assert outcome == all_changed(1)
        assert repr(Specimen.objects.get().document) == "[True]"


class TestWhatWouldBeLost:
    def test_in_another_field_is_told(self) -> None:
        Post.objects.create(pk=7)
        with pytest.raises(
            InvalidUpdate,
            match=r"changed title of testapp.Post 7, .* updates = \('title', 'slug'\)",
        ):
            work(Post.objects.all(), "slug", process=setter(title="x", slug="x"))
        assert Post.objects.get().slug == ""

    def test_in_the_key_is_told(self) -> None:
        Seat.objects.create(row=1, number=1)
        told = "changed row of testapp.Seat 1, 1, by which its row is found: "
        with pytest.raises(InvalidUpdate, match=told):
            work(Seat.objects.all(), "guest", process=setter(row=2))

    def test_of_a_record_that_process_deletes_itself_is_told_by_its_key(self) -> None:
        """Django takes the key from the object, which is no field to declare."""
        Post.objects.create(pk=7)
        told = "changed id of testapp.Post 7, .* say deletes = True and return True"
        with pytest.raises(InvalidUpdate, match=told):
            work(Post.objects.all(), "slug", process=Post.delete)

    def test_in_a_field_that_is_not_loaded_is_told(self) -> None:
        Post.objects.create(title="A title")

        def process(post: Post) -> None:
            post.slug = post.title

        with pytest.raises(InvalidUpdate, match=r"used title .* add 'title' to only"):
            work(Post.objects.only("slug"), "slug", process=process)
        with pytest.raises(InvalidUpdate, match=r"used slug .* add 'slug' to only"):
            work(Post.objects.defer("slug"), "slug", process=process)

    def test_in_a_field_that_was_loaded_apart_is_told(self) -> None:
        Specimen.objects.create(document={})
        writer = Updates(Specimen, ["char"], "default")
        (record,) = writer.reading(Specimen.objects.only("char"))
        assert record.document == {}  # As a receiver of post_init may ask.
        sheets = writer.remember([record])
        record.char = "x"
        with pytest.raises(InvalidUpdate, match=r"document of .* apart from it"):
            writer.write(sheets)

    def test_in_an_expression_is_told(self) -> None:
        Item.objects.create()
        with pytest.raises(InvalidUpdate, match=r"set n of testapp.Item to an expr"):
            work(Item.objects.all(), "n", process=setter(n=F("n") + 1))

    def test_is_told_for_its_record_alone(self) -> None:
        Item.objects.bulk_create([Item(pk=1), Item(pk=2)])
        writer = Updates(Item, ["n"], "default")
        one, two = writer.reading(Item.objects.order_by("pk"))
        (sheet,) = writer.remember([one, two])
        one.n, two.name = 1, "x"
        good, bad = sheet.one_by_one()
        changes = writer.changes(good)
        with pytest.raises(InvalidUpdate, match=r"testapp\.Item 2"):
            writer.changes(bad)
        assert writer.save(changes) == []
        assert Item.objects.get(pk=1).n == 1

    def test_is_not_what_is_deleted_from_a_record(self) -> None:
        Item.objects.create(n=1)

        def process(item: Item) -> None:
            del item.name
            item.n = 2

        assert work(Item.objects.all(), "n", process=process) == all_changed(1)

    def test_is_nothing_else_that_a_record_carries(self) -> None:
        Item.objects.create()
        outcome = work(Item.objects.all(), "n", process=setter(note="x", n=1))
        assert outcome == all_changed(1)


class TestAValueThatTheDatabaseRefuses:
    def test_is_an_error_as_with_save(self) -> None:
        Item.objects.create()
        with pytest.raises(ValueError, match="expected a number"):
            work(Item.objects.all(), "n", process=setter(n="many"))

    def test_is_not_cut_off(self) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("by design: SQLite takes a text of any length")
        Item.objects.bulk_create([Item(), Item()])
        with pytest.raises(DatabaseError):
            work(Item.objects.all(), "name", process=setter(name="x" * 51))

    def test_leaves_the_page_as_it_was(self) -> None:
        Post.objects.bulk_create([Post(pk=1), Post(pk=2), Post(pk=3, place=3)])

        def process(post: Post) -> None:
            post.slug, post.place = "new", 3

        with pytest.raises(IntegrityError):
            work(Post.objects.exclude(pk=3), "slug", "place", process=process)
        assert not Post.objects.filter(slug="new").exists()


class TestAUniqueValue:
    @pytest.fixture(autouse=True)
    def posts(self) -> None:
        Post.objects.bulk_create(Post(pk=pk, place=pk, number=pk) for pk in range(1, 4))

    def test_that_goes_to_another_record_of_the_page_is_refused(self) -> None:
        def process(post: Post) -> None:
            assert post.place is not None
            post.place = 4 - post.place

        with pytest.raises(IntegrityError, match="a value of place goes from one"):
            work(Post.objects.all(), "place", process=process)

    def test_of_several_fields_likewise(self) -> None:
        def process(post: Post) -> None:
            assert post.number is not None
            post.number = 4 - post.number

        sentence = "a value of volume, number goes from one"
        with pytest.raises(IntegrityError, match=sentence):
            work(Post.objects.all(), "number", process=process)

    def test_that_somebody_else_has_is_refused_as_by_save(self) -> None:
        with pytest.raises(IntegrityError) as caught:
            work(Post.objects.filter(pk=1), "place", process=setter(place=3))
        assert "goes from one" not in str(caught.value)

    def test_that_is_new_is_written(self) -> None:
        def process(post: Post) -> None:
            post.place = post.pk + 10

        assert work(Post.objects.all(), "place", process=process) == all_changed(3)


class TestAnyKey:
    def test_of_two_columns(self) -> None:
        Seat.objects.bulk_create(
            Seat(row=row, number=number) for row in (1, 2) for number in (1, 2)
        )

        def process(seat: Seat) -> None:
            seat.guest = f"guest {seat.pk}"

        assert work(Seat.objects.all(), "guest", process=process) == all_changed(4)
        assert Seat.objects.get(row=2, number=1).guest == "guest (2, 1)"

    @pytest.mark.django_db(transaction=True)
    def test_of_text_or_of_another_kind(self) -> None:
        @isolate_apps("tests.testapp")
        def keyed(key: Any) -> Any:
            class Keyed(models.Model):
                id = key
                n = models.IntegerField(default=0)

                class Meta:
                    app_label = "testapp"

            return Keyed

        for key, values in KEYS:
            model = keyed(key)
            with table_of(model):
                model.objects.bulk_create(model(id=value) for value in values)
                outcome = work(model.objects.all(), "n", process=setter(n=1))
                assert outcome == all_changed(len(values))
                assert set(model.objects.values_list("n", flat=True)) == {1}

    def test_through_a_proxy(self) -> None:
        @isolate_apps("tests.testapp")
        def proxy() -> Any:
            class Thing(Item):
                class Meta:
                    proxy = True
                    app_label = "testapp"

            return Thing

        Item.objects.create()
        model = proxy()
        assert work(model.objects.all(), "n", process=setter(n=1)) == all_changed(1)

    @pytest.mark.django_db(transaction=True)
    @isolate_apps("tests.testapp")
    def test_with_names_that_need_quotes(self) -> None:
        class Odd(models.Model):
            share = models.IntegerField(db_column="part of it", default=0)
            order = models.JSONField(default=dict)
            objects: Any = models.Manager()

            class Meta:
                app_label = "testapp"
                db_table = "testapp of its own"

        with table_of(Odd):
            Odd.objects.bulk_create([Odd(), Odd()])
            outcome = work(Odd.objects.all(), "share", process=setter(share=1))
            assert outcome == all_changed(2)
            assert Odd.objects.filter(share=1).count() == 2


KEYS: list[tuple[Any, list[Any]]] = [
    (models.CharField(primary_key=True, max_length=20), ["a", "b ", "é", "'%s"]),
    (models.UUIDField(primary_key=True), [Document().pk, Document().pk]),
    (models.DateTimeField(primary_key=True), [LONG_AGO]),
    (models.DecimalField(primary_key=True, max_digits=9, decimal_places=3), [1, 2.5]),
]


class TestWhatCanBeDeclared:
    @pytest.mark.parametrize(
        ("model", "name", "sentence"),
        [
            (Item, "nn", r"'nn', but testapp\.Item has no such field.* id, n, name"),
            (Item, "id", "of the primary key"),
            (Item, "stamp", "no column of its own"),
            (Seat, "row", "of the primary key"),
            (Seat, "pk", "no column of its own"),
            (Post, "loud", "which the database computes itself"),
            (Parcel, "weight", "lie in several tables"),
            (Parcel, "n", "lie in several tables"),
        ],
    )
    def test_is_no_field_that_cannot_be_written(
        self, model: type[models.Model], name: str, sentence: str
    ) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            Updates(model, [name], "default")

    @isolate_apps("tests.testapp")
    def test_is_no_field_with_an_expression_of_its_own(self) -> None:
        def placeholder(self: Any, *args: Any) -> str:
            return "shape(%s)"

        is_new = django.VERSION >= (6, 1)
        name = "get_placeholder_sql" if is_new else "get_placeholder"
        shape_field: Any = type("Shape", (models.TextField,), {name: placeholder})

        class Place(models.Model):
            shape = shape_field()

            class Meta:
                app_label = "testapp"

        with pytest.raises(InvalidTask, match="by an expression of its own"):
            Updates(Place, ["shape"], "default")
