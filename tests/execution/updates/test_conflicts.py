"""What somebody else changed or deleted meanwhile is never overwritten."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Count, QuerySet

from tests.execution.updates.pages import put, raw, setter, work
from tests.testapp.models import Item, Post, Seat, Specimen
from upkeep import databases
from upkeep.exceptions import Conflict, InvalidUpdate
from upkeep.execution.updates import Outcome, Updates
from upkeep.execution.updates.shapes import Shape
from upkeep.execution.updates.tables.mysql import MySQLTable

pytestmark = pytest.mark.django_db

NOTHING_WRITTEN = Outcome(changed=0, unchanged=0, conflicts=[1])

# Changes that the database takes for none, or that Python cannot see: a field, its
# value as SQL, and another that is equal.
EVERYWHERE = [
    ("char", "'abc'", "'ABC'"),
    ("char", "'abc'", "'âbc'"),
    ("char", "'abc'", "'abc '"),
    ("char", "''", "' '"),
    ("text", "'abc'", "'abC'"),
    ("text", "'abc'", "'abc  '"),
    ("slug", "'abc'", "'ABC'"),
    ("lower", "'abc'", "'ABC'"),
]
TEXTUAL_JSON = [
    ("document", """'{"a":1}'""", """'{"a": 1}'"""),
    ("document", """'{"a":1,"b":2}'""", """'{"b":2,"a":1}'"""),
    ("document", "'1.0'", "'1.00'"),
    ("document", "'1e2'", "'100.0'"),
]
EQUAL = {
    "postgresql": [
        *EVERYWHERE,
        ("document", "'1.0'", "'1.00'"),
        ("document", "'[1.00000000000000000001]'", "'[1.00000000000000000002]'"),
        ("lasting", "'1 month'", "'30 days'"),
        ("lasting", "'24:00:00'", "'1 day'"),
        ("real", "'0.0'", "'-0.0'"),
        ("real", "0.1", "0.1 + 2e-17"),
    ],
    "mysql": [
        *EVERYWHERE,
        *TEXTUAL_JSON,
        ("flag", "1", "2"),
        ("real", "1e0", "1.0000000000000002e0"),
    ],
    "sqlite": [
        *EVERYWHERE,
        *TEXTUAL_JSON,
        ("flag", "1", "2"),
        ("flag", "0", "'no'"),
        ("moment", "'2024-01-01 00:00:00.507'", "'2024-01-01 00:00:00.507000'"),
        ("day", "'2024-01-01'", "'20240101'"),
        ("decimal", "1.5", "1.5000000000000002"),
        ("code", f"'{'ab' * 16}'", f"'{UUID('ab' * 16)}'"),
    ],
}
CHANGES = EQUAL[connection.vendor]


def other_session() -> Any:
    """Return another session on the same database."""
    return connection.copy()


class TestAChangeThatIsHardToSee:
    @pytest.mark.parametrize(("field", "one", "other"), CHANGES)
    def test_in_a_field_that_is_written_is_kept(
        self, field: str, one: str, other: str
    ) -> None:
        specimen = Specimen.objects.create(pk=1)
        put(Specimen, 1, field, one)
        specimen.refresh_from_db()
        was = raw(Specimen, 1, field)
        outcome = work(
            Specimen.objects.all(),
            field,
            process=setter(**{field: None}),
            meanwhile=lambda: put(Specimen, 1, field, other),
        )
        assert raw(Specimen, 1, field) not in (was, None), "it is no change at all"
        assert outcome == NOTHING_WRITTEN

    @pytest.mark.parametrize(("field", "one", "other"), CHANGES)
    def test_in_a_field_that_is_only_read_is_noticed(
        self, field: str, one: str, other: str
    ) -> None:
        Specimen.objects.create(pk=1)
        put(Specimen, 1, field, one)
        outcome = work(
            Specimen.objects.all(),
            "integer",
            process=setter(integer=1),
            meanwhile=lambda: put(Specimen, 1, field, other),
        )
        assert outcome == NOTHING_WRITTEN
        assert Specimen.objects.get().integer is None

    @pytest.mark.parametrize(("field", "one", "other"), CHANGES)
    def test_however_it_is_spelled_a_row_that_nobody_changed_is_written(
        self, field: str, one: str, other: str
    ) -> None:
        Specimen.objects.create(pk=1)
        for spelled in (one, other):
            put(Specimen, 1, field, spelled)
            outcome = work(
                Specimen.objects.all(),
                "integer",
                process=lambda record: setattr(
                    record, "integer", (record.integer or 0) + 1
                ),
            )
            assert outcome == Outcome(changed=1, unchanged=0, conflicts=[])
        assert Specimen.objects.get().integer == 2

    def test_of_the_key_is_noticed(self) -> None:
        Seat.objects.create(row=1, number=1)
        Seat.objects.create(row=1, number=2)

        def meanwhile() -> None:
            Seat.objects.filter(number=2).update(number=3)

        outcome = work(
            Seat.objects.all(),
            "guest",
            process=setter(guest="Ada"),
            meanwhile=meanwhile,
        )
        assert outcome == Outcome(changed=1, unchanged=0, conflicts=[(1, 2)])
        assert Seat.objects.get(number=3).guest == ""


class TestOfAPage:
    @pytest.fixture
    def posts(self) -> list[Post]:
        return Post.objects.bulk_create(
            Post(pk=pk, title=f"Title {pk}") for pk in range(1, 11)
        )

    def test_the_others_are_written(self, posts: list[Post]) -> None:
        def meanwhile() -> None:
            Post.objects.filter(pk=3).update(title="TITLE 3")
            Post.objects.filter(pk=5).update(slug="theirs")
            Post.objects.filter(pk=7).delete()

        outcome = work(
            Post.objects.order_by("pk"), "slug", process=slug, meanwhile=meanwhile
        )
        assert outcome == Outcome(changed=7, unchanged=0, conflicts=[3, 5, 7])
        assert list(Post.objects.order_by("pk").values_list("pk", "slug")) == [
            *[(pk, f"title-{pk}") for pk in (1, 2)],
            (3, ""),
            (4, "title-4"),
            (5, "theirs"),
            *[(pk, f"title-{pk}") for pk in (6, 8, 9, 10)],
        ]

    def test_a_deleted_row_is_not_revived(self, posts: list[Post]) -> None:
        outcome = work(
            Post.objects.order_by("pk"),
            "slug",
            process=slug,
            meanwhile=Post.objects.all().delete,
        )
        assert outcome.conflicts == list(range(1, 11))
        assert not Post.objects.exists()

    def test_a_change_in_what_was_not_loaded_is_none(self, posts: list[Post]) -> None:
        outcome = work(
            Post.objects.only("title", "slug"),
            "slug",
            process=slug,
            meanwhile=lambda: Post.objects.update(volume=9),
        )
        assert outcome == Outcome(changed=10, unchanged=0, conflicts=[])
        assert set(Post.objects.values_list("volume", flat=True)) == {9}

    def test_what_process_wrote_itself_is_a_conflict(self, posts: list[Post]) -> None:
        def process(post: Post) -> None:
            slug(post)
            post.save()

        outcome = work(Post.objects.filter(pk=1), "slug", process=process)
        assert outcome == NOTHING_WRITTEN

    def test_several_kinds_of_change_are_each_guarded(self, posts: list[Post]) -> None:
        def process(post: Post) -> None:
            slug(post)
            if post.pk % 2:
                post.volume = 1

        outcome = work(
            Post.objects.order_by("pk"),
            "slug",
            "volume",
            process=process,
            meanwhile=lambda: Post.objects.filter(pk__in=[3, 4]).update(title="x"),
        )
        assert outcome.changed == 8
        assert sorted(outcome.conflicts) == [3, 4]
        odd = Post.objects.filter(volume=1).values_list("pk", flat=True)
        assert sorted(odd) == [1, 5, 7, 9]


def count_up(specimen: Specimen) -> None:
    specimen.integer = (specimen.integer or 0) + 1


def slug(post: Post) -> None:
    post.slug = post.title.lower().replace(" ", "-")


class TestWhatTheDatabaseKeepsBack:
    def test_is_told(self) -> None:
        Item.objects.create(pk=1)
        writer = Updates(Item, ["n"], "default")
        twice = [Item.objects.get(), Item.objects.get()]
        sheets = writer.remember(twice)
        for item in twice:
            item.n = 1
        with pytest.raises(InvalidUpdate, match="a record came twice"):
            writer.write(sheets)


@pytest.mark.django_db(transaction=True)
class TestWhatIsDoneAgain:
    """Records in conflict are read anew, and what was computed for them is not used."""

    @pytest.fixture(autouse=True)
    def posts(self) -> None:
        Post.objects.bulk_create([Post(pk=1, title="One"), Post(pk=2, title="Two")])

    def test_is_right_the_second_time(self, on_a_server: None, isolation: str) -> None:
        if connection.vendor == "mysql" and isolation == "serializable":
            pytest.skip("by design: MariaDB locks what is read, and others wait")
        if connection.vendor == "postgresql" and isolation != "read committed":
            # There the whole chunk is done again, as after a deadlock.
            with pytest.raises(OperationalError) as caught:
                self.work_twice()
            assert databases.is_passing(caught.value)
            return
        first, second = self.work_twice()
        assert first == Outcome(changed=1, unchanged=0, conflicts=[1])
        assert second == Outcome(changed=1, unchanged=0, conflicts=[])
        assert Post.objects.get(pk=1).slug == "one-more"

    @transaction.atomic
    def work_twice(self) -> tuple[Outcome, Outcome]:
        """Work on a page while somebody changes a row, and then on what is left."""
        writer = Updates(Post, ["slug"], "default")
        posts = Post.objects.filter(slug="").order_by("pk")
        first = self.page(writer, writer.reading(posts), others_change="ONE MORE")
        return first, self.page(writer, writer.again(posts, first.conflicts))

    def page(
        self, writer: Updates, posts: QuerySet[Post], others_change: str = ""
    ) -> Outcome:
        records = list(posts)
        sheets = writer.remember(records)
        for post in records:
            slug(post)
        if others_change:
            other = other_session()
            with closing(other), other.cursor() as cursor:
                sql = "UPDATE testapp_post SET title = %s WHERE id = 1"
                cursor.execute(sql, [others_change])
        return writer.write(sheets)

    def test_is_not_what_is_no_longer_wanted(self) -> None:
        writer = Updates(Post, ["slug"], "default")
        posts = Post.objects.filter(slug="")
        Post.objects.filter(pk=1).update(slug="theirs")
        assert [post.pk for post in writer.again(posts, [1, 2])] == [2]

    @pytest.mark.parametrize("lock", [True, False])
    def test_may_have_joins_and_groups(self, lock: bool) -> None:
        specimen = Specimen.objects.create(owner=Item.objects.create(name="Ada"))
        records = Specimen.objects.select_related("owner", "country")
        if not lock:
            records = records.annotate(number=Count("paper"))
        writer = Updates(Specimen, ["char"], "default")
        with transaction.atomic():
            (found,) = writer.again(records, [specimen.pk])
            assert found.owner.name == "Ada"

    def test_of_a_key_of_two_columns(self) -> None:
        Seat.objects.bulk_create(Seat(row=1, number=number) for number in range(3))
        writer = Updates(Seat, ["guest"], "default")
        with transaction.atomic():
            again = writer.again(Seat.objects.order_by("number"), [(1, 0), (1, 2)])
            assert [seat.number for seat in again] == [0, 2]


class TestWithoutTheGuard:
    """What this file guards against happens where the protection is taken away."""

    def test_a_change_is_overwritten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Post.objects.create(pk=1, title="Title")
        with_guards = Shape.__init__

        def without_guards(self: Any, *given: Any, **options: Any) -> None:
            with_guards(self, *given, **options)
            self.guarded = ()

        monkeypatch.setattr(Shape, "__init__", without_guards)
        outcome = work(
            Post.objects.all(),
            "slug",
            process=slug,
            meanwhile=lambda: Post.objects.update(slug="theirs"),
        )
        assert outcome == Outcome(changed=1, unchanged=0, conflicts=[])
        assert Post.objects.get().slug == "title"

    def test_by_values_a_change_of_case_is_overwritten(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if connection.vendor != "mysql":
            pytest.skip(
                "by design: elsewhere no collation of ours takes them for equal"
            )
        Specimen.objects.create(pk=1, char="abc")
        monkeypatch.setattr(
            MySQLTable, "template", lambda self, field: "%(expressions)s"
        )
        monkeypatch.setattr(MySQLTable, "guards", lambda self, values: values)
        outcome = work(
            Specimen.objects.only("char"),
            "char",
            process=setter(char="x"),
            meanwhile=lambda: put(Specimen, 1, "char", "'ABC '"),
        )
        assert outcome == Outcome(changed=1, unchanged=0, conflicts=[])


@pytest.mark.django_db(transaction=True)
class TestASessionBesideOurs:
    """Somebody else's transaction is open while we write."""

    def test_is_waited_for_and_not_overwritten(self, on_a_server: None) -> None:
        Post.objects.create(pk=1, title="Title")
        Post.objects.create(pk=2, title="Other")
        other = other_session()
        try:
            outcome = self.write_while(other)
        finally:
            other.close()
        assert outcome == Outcome(changed=1, unchanged=0, conflicts=[1])
        assert Post.objects.get(pk=1).slug == ""
        assert Post.objects.get(pk=2).slug == "other"

    def write_while(self, other: Any) -> Outcome:
        """Write a page while another session holds a row, and then commits."""
        waits = threading.Event()

        def commit() -> None:
            assert waits.wait(30)
            while not self.is_waiting(other):
                pass
            other.commit()

        other.ensure_connection()
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE testapp_post SET title = 'TITLE' WHERE id = 1")
        committer = threading.Thread(target=commit)
        other.inc_thread_sharing()
        committer.start()
        try:
            return work(
                Post.objects.order_by("pk"), "slug", process=slug, meanwhile=waits.set
            )
        finally:
            committer.join()
            other.dec_thread_sharing()

    def is_waiting(self, other: Any) -> bool:
        """Tell whether a session waits for a lock that another holds."""
        waiting = {
            "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
            "mysql": "SELECT count(*) FROM information_schema.processlist"
            " WHERE info LIKE 'UPDATE (SELECT%%'",
        }[connection.vendor]
        with other.cursor() as cursor:
            cursor.execute(waiting)
            return bool(cursor.fetchone()[0])


def test_a_conflict_names_its_record_and_what_to_do() -> None:
    sentence = str(Conflict.over("testapp.Post 7", times=3))
    assert sentence.startswith(
        "testapp.Post 7 was changed by somebody else each of the"
    )
    assert "3 times" in sentence
    assert "leave save() and update() out" in sentence
