"""What is special to one database: its types, its collations, its limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.contrib.postgres.fields import (
    ArrayField,
    DateTimeRangeField,
    HStoreField,
    IntegerRangeField,
)
from django.contrib.postgres.signals import get_hstore_oids, register_type_handlers
from django.db import DatabaseError, connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from tests.execution.updates.pages import put, raw, setter, work
from tests.testapp.models import Item
from upkeep.execution.updates import Outcome
from upkeep.execution.updates.tables import mysql, postgresql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("by design: these are types of PostgreSQL")


@pytest.fixture
def on_mysql() -> None:
    if connection.vendor != "mysql":
        pytest.skip("by design: these are types of MariaDB")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def table(field: Any, column_type: str, *, before: Sequence[str] = ()) -> Iterator[Any]:
    """Have a table whose column `it` is of a type that need not be the field's."""
    model = _model(field)
    for sql in before:
        execute(sql)
    if isinstance(field, HStoreField):
        cached: Any = get_hstore_oids
        cached.cache_clear()
        register_type_handlers(connection)
    key = "bigserial" if connection.vendor == "postgresql" else "serial"
    execute(
        f"CREATE TABLE testapp_thing"
        f" (id {key} PRIMARY KEY, n integer, it {column_type})"
    )
    try:
        yield model
    finally:
        execute("DROP TABLE testapp_thing")


@isolate_apps("tests.testapp")
def _model(field: Any, key: Any = None) -> Any:
    class Thing(models.Model):
        id = key or models.BigAutoField(primary_key=True)
        n = models.IntegerField(null=True)
        it = field

        class Meta:
            app_label = "testapp"

    return Thing


def text(**options: Any) -> Any:
    return models.CharField(max_length=20, null=True, **options)


COLLATION = (
    "CREATE COLLATION IF NOT EXISTS any_case"
    " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
)
DOMAIN = "DROP DOMAIN IF EXISTS short; CREATE DOMAIN short AS varchar(20)"
MOOD = "DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('sad', 'happy')"

# A field, the type of its column, what has to be there, and what it holds as SQL: one
# value, another, and then values that a record is given.
PostgreSQLCase = tuple[Any, str, list[str], str, str, list[Any]]
POSTGRESQL: dict[str, PostgreSQLCase] = {
    "integer[]": (
        ArrayField(models.IntegerField(null=True), null=True),
        "integer[]",
        [],
        "'{1,2}'",
        "'[0:1]={1,2}'",
        [[3, None], [], [4, 5, 6], None],
    ),
    "text[][]": (
        ArrayField(ArrayField(models.TextField()), null=True),
        "text[]",
        [],
        """'{{a,"b c"}}'""",
        "'{{a,B}}'",
        [[["x", "'\\%s,"]], [["y"], ["z"]]],
    ),
    "jsonb[]": (
        ArrayField(models.JSONField(), null=True),
        "jsonb[]",
        [],
        """ARRAY['{"a":1}'::jsonb]""",
        """ARRAY['{"a":1.0}'::jsonb]""",
        [[{"b": 1}, {"c": 2}], []],
    ),
    "int4range": (
        IntegerRangeField(null=True),
        "int4range",
        [],
        "'[1,2]'",
        "'[1,4)'",
        [(3, 4), None, (None, 7)],
    ),
    "tstzrange": (
        DateTimeRangeField(null=True),
        "tstzrange",
        [],
        "'[2024-01-01,2024-01-02]'",
        "'[2024-01-01,2024-01-02)'",
        [None],
    ),
    "hstore": (
        HStoreField(null=True),
        "hstore",
        ["CREATE EXTENSION IF NOT EXISTS hstore"],
        "'a=>1'",
        "'a=>2'",
        [{"a": "'x", "b": None}, {}],
    ),
    "citext": (
        text(),
        "citext",
        ["CREATE EXTENSION IF NOT EXISTS citext"],
        "'abc'",
        "'ABC'",
        ["x", None],
    ),
    "text in any case": (
        text(),
        "text COLLATE any_case",
        [COLLATION],
        "'abc'",
        "'ABC'",
        ["x", None],
    ),
    "char(20)": (text(), "char(20)", [], "'abc'", "'ABC'", ["abcd", None]),
    "a domain": (text(), "short", [DOMAIN], "'abc'", "'ABC'", ["x", None]),
    "an enumeration": (text(), "mood", [MOOD], "'sad'", "'happy'", ["happy", None]),
    "real": (
        models.FloatField(null=True),
        "real",
        [],
        "0.1",
        "0.10000001",
        [0.2, 3.0],
    ),
    "numeric": (
        models.DecimalField(null=True, max_digits=9, decimal_places=3),
        "numeric",
        [],
        "1.5",
        "1.50",
        [2, None],
    ),
    "float of an integer": (models.IntegerField(null=True), "float", [], "1", "2", [3]),
}


class TestOnPostgreSQL:
    @pytest.mark.parametrize("name", POSTGRESQL)
    def test_each_type_is_recognized_and_written(
        self, name: str, on_postgresql: None
    ) -> None:
        field, column_type, before, one, other, values = POSTGRESQL[name]
        with table(field, column_type, before=before) as thing:
            check(thing, one, other, values)

    def test_an_array_that_is_changed_in_place_is_written(
        self, on_postgresql: None
    ) -> None:
        with table(ArrayField(models.IntegerField()), "integer[]") as thing:
            thing.objects.bulk_create([thing(it=[1]), thing(it=[])])
            outcome = work(
                thing.objects.order_by("pk"),
                "it",
                process=lambda each: each.it.extend(each.it),
            )
            assert outcome == Outcome(changed=1, unchanged=1, conflicts=[])
            assert thing.objects.first().it == [1, 1]

    def test_values_that_do_not_fit_are_refused_and_not_cut_off(
        self, on_postgresql: None
    ) -> None:
        for column_type in ("varchar(3)", "char(3)"):
            with table(text(), column_type) as thing:
                thing.objects.create(it="abc")
                with pytest.raises(DatabaseError, match="too long"):
                    work(thing.objects.all(), "it", process=setter(it="abcd"))

    def test_a_page_may_need_several_statements(
        self, on_postgresql: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgresql, "MOST_PARAMETERS", 12)
        in_several_statements()


MYSQL: dict[str, tuple[Any, str, str, str, list[Any]]] = {
    "latin1": (
        text(),
        "varchar(20) CHARACTER SET latin1",
        "'äöü'",
        "'ÄÖÜ'",
        ["ß", "x ", None],
    ),
    "utf8mb3": (text(), "varchar(20) CHARACTER SET utf8mb3", "'äö'", "'aö'", ["ß"]),
    "char": (text(), "char(20)", "'abc'", "'ABC'", ["x", None]),
    "enum": (text(), "enum('a', 'b', 'c')", "'a'", "'b'", ["c", None]),
    "binary": (models.BinaryField(null=True), "binary(4)", "'a'", "'A'", [b"\xff" * 4]),
    "float": (models.FloatField(null=True), "float", "1000000", "1000000.06", [2.5]),
    "decimal": (
        models.DecimalField(max_digits=30, decimal_places=10, null=True),
        "decimal(30, 10)",
        "'12345678901234567890.0000000001'",
        "'12345678901234567890.0000000002'",
        [1, None],
    ),
    "char(32) for a uuid": (
        models.UUIDField(null=True),
        "char(32)",
        f"'{'ab' * 16}'",
        f"'{'AB' * 16}'",
        [None],
    ),
}


class TestOnMariaDB:
    @pytest.mark.parametrize("name", MYSQL)
    def test_each_type_is_recognized_and_written(
        self, name: str, on_mysql: None
    ) -> None:
        field, column_type, one, other, values = MYSQL[name]
        with table(field, column_type) as thing:
            check(thing, one, other, values)

    def test_keys_are_found_in_their_character_set(self, on_mysql: None) -> None:
        for charset in ("latin1", "utf8mb3", "utf8mb4"):
            with table(text(unique=True), f"varchar(20) CHARACTER SET {charset}"):
                execute("ALTER TABLE testapp_thing MODIFY id varchar(20)")
                execute(f"ALTER TABLE testapp_thing CONVERT TO CHARACTER SET {charset}")
                keyed = _model(
                    text(), key=models.CharField(max_length=20, primary_key=True)
                )
                keyed.objects.bulk_create(keyed(id=f"ä {n}") for n in range(1000))
                with CaptureQueriesContext(connection) as queries:
                    outcome = work(keyed.objects.all(), "n", process=setter(n=1))
                assert outcome == Outcome(changed=1000, unchanged=0, conflicts=[])
                update = next(
                    each["sql"] for each in queries if each["sql"].startswith("UPDATE")
                )
                with connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN {update}")
                    types = {row[3] for row in cursor.fetchall() if row[2] == "t"}
                assert types == {"eq_ref"}

    def test_a_page_may_need_several_statements(self, on_mysql: None) -> None:
        with mock.patch.object(mysql.MySQLTable, "most_bytes", 300):
            in_several_statements()

    def test_a_page_is_larger_than_a_packet(self, on_mysql: None) -> None:
        with table(models.TextField(null=True), "longtext") as thing:
            thing.objects.bulk_create([thing(), thing(), thing()])
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@max_allowed_packet")
                (most,) = cursor.fetchone()
            large = "x" * (most // 5)
            outcome = work(thing.objects.all(), "it", process=setter(it=large))
            assert outcome == Outcome(changed=3, unchanged=0, conflicts=[])


def check(thing: Any, one: str, other: str, values: list[Any]) -> None:
    """Have a page written, and another not, because somebody changed it meanwhile."""
    made = [thing.objects.create() for _ in values]
    for each in made:
        put(thing, each.pk, "it", one)
    wanted = dict(zip([each.pk for each in made], values, strict=True))
    outcome = work(
        thing.objects.all(),
        "it",
        process=lambda each: setattr(each, "it", wanted[each.pk]),
    )
    assert outcome == Outcome(changed=len(values), unchanged=0, conflicts=[])
    for each in made:
        each.it = wanted[each.pk]
        was = raw(thing, each.pk, "it")
        each.save()
        assert raw(thing, each.pk, "it") == was

    put(thing, made[0].pk, "it", one)
    outcome = work(
        thing.objects.filter(pk=made[0].pk),
        "n",
        process=setter(n=1),
        meanwhile=lambda: put(thing, made[0].pk, "it", other),
    )
    assert outcome == Outcome(changed=0, unchanged=0, conflicts=[made[0].pk])


def in_several_statements() -> None:
    Item.objects.bulk_create(Item(pk=pk, name=f"{pk}") for pk in range(1, 11))
    outcome = work(
        Item.objects.order_by("pk"),
        "n",
        process=setter(n=1),
        meanwhile=Item.objects.filter(pk__in=[2, 9]).delete,
    )
    assert outcome == Outcome(changed=8, unchanged=0, conflicts=[2, 9])
    assert Item.objects.filter(n=1).count() == 8
