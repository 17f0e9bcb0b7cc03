"""A page costs the rows that it holds, wherever it lies in a table of a million."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Index
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from tests.testapp.models import Visit
from upkeep.models import DeadLetter, Run
from upkeep.runs.retried_letters import RetriedLetters
from upkeep.runs.status import Status
from upkeep.tasks.collections import collect
from upkeep.tasks.collections.querysets import RecordsCollection
from upkeep.tasks.collections.sequences import SequenceCollection
from upkeep.web.letters import runs_with_open_letters
from upkeep.web.shelves import PAGE as PAGE_OF_LETTERS
from upkeep.web.shelves import Contents, Filter, Shelf

ROWS = 1_000_000
PAGE = 1_000

ORDERS = [
    ("pk",),
    ("-pk",),
    ("score",),
    ("-score",),
    ("score", "at"),
    ("score", "-at"),
    ("-score", "at"),
    ("-score", "-at", "-pk"),
]

# 300,000 ties of the score in the middle, of which 100,000 tie in `at` as well, and
# 100,000 without a score, of which every other has no `at` either.
NUMBERS = {
    "postgresql": "SELECT n FROM generate_series(1, {rows}) AS numbers(n)",
    "mysql": "SELECT seq AS n FROM seq_1_to_{rows}",
}
FILL = """
INSERT INTO testapp_visit (id, score, at)
SELECT n,
    CASE WHEN n % 10 = 0 THEN NULL WHEN n % 10 <= 3 THEN 500000 ELSE n END,
    CASE WHEN n % 20 = 0 THEN NULL WHEN n % 10 = 1 THEN 7 ELSE n % 1000 END
FROM ({numbers}) AS numbers
"""

pytestmark = pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="by design: SQLite tells no numbers of rows that a plan has read",
)


@pytest.fixture(scope="module")
def visits(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Visit)
        with connection.cursor() as cursor:
            numbers = NUMBERS[connection.vendor].format(rows=ROWS)
            cursor.execute(FILL.format(numbers=numbers))
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Visit)


@pytest.fixture(scope="module", params=ORDERS, ids=" ".join)
def order(
    request: pytest.FixtureRequest, visits: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[str, ...]]:
    """Return an order for which the table has an index."""
    names = [each.replace("pk", "id") for each in request.param]
    names += [] if {"id", "-id"} & set(names) else ["id"]
    index = Index(fields=names, name="visit_order")
    with django_db_blocker.unblock():
        if len(names) > 1:
            with connection.schema_editor() as editor:
                editor.add_index(Visit, index)
        with connection.cursor() as cursor:
            table = "TABLE " if connection.vendor == "mysql" else ""
            cursor.execute(f"ANALYZE {table}testapp_visit")
        yield request.param
        if len(names) > 1:
            with connection.schema_editor() as editor:
                editor.remove_index(Visit, index)


@pytest.mark.django_db
@pytest.mark.parametrize("at", [0, 10, 50, 90, 95])
def test_a_page_reads_the_rows_that_it_holds(order: tuple[str, ...], at: int) -> None:
    collection = collect(Visit.objects.all(), alias="default", cursor_fields=order)
    assert isinstance(collection, RecordsCollection)
    place = place_at(collection, ROWS * at // 100)
    with CaptureQueriesContext(connection) as queries:
        page = collection.page(place, PAGE)
    assert len(page.items) == PAGE
    read = [rows_read(query["sql"]) for query in queries]
    assert sum(read) <= 1.1 * PAGE, (read, [query["sql"] for query in queries])


@pytest.mark.django_db(transaction=True)  # MariaDB commits before ANALYZE.
def test_a_page_of_dead_letters_reads_those_of_its_run() -> None:
    """There are others of the same parent, and those that the run has seen to."""
    parent = run_in(Status.SUCCEEDED, Numbers)
    DeadLetter.objects.bulk_create(
        DeadLetter(run=parent, cursor={"kind": "sequence", "position": n % 7})
        for n in range(6_000)
    )
    first, second = parent.dead_letters.all()[2_000], parent.dead_letters.all()[4_000]
    parent.dead_letters.filter(pk__lt=first.pk).retry()
    (run,) = parent.dead_letters.filter(pk__lt=second.pk).retry()
    letters = RetriedLetters(run, SequenceCollection(range(7)))
    place = {"kind": "dead letters", "letter": first.pk + 500}
    run.letters_in_hand.filter(pk__lte=first.pk + 500).update(state="resolved")
    with connection.cursor() as cursor:
        table = "TABLE " if connection.vendor == "mysql" else ""
        cursor.execute(f"ANALYZE {table}upkeep_deadletter")
    with CaptureQueriesContext(connection) as queries:
        page = letters.page(place, 100)
    assert len(page.items) == 100
    assert sum(rows_read(query["sql"]) for query in queries) <= 110


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cause", ["", "a" * 64, "b" * 64])
def test_a_page_of_what_is_shown_reads_no_more_than_it_counts(cause: str) -> None:
    """Neither a state nor a cause makes it look through all letters of a run."""
    run, other = run_in(Status.SUCCEEDED), run_in(Status.SUCCEEDED)
    for each, number in ((run, 4_000), (other, 40_000)):
        DeadLetter.objects.bulk_create(
            DeadLetter(
                run=each,
                state="open" if n % 3 else "resolved",
                fingerprint="b" * 64 if n % 600 == 1 else "a" * 64,
            )
            for n in range(number)
        )
    with connection.cursor() as cursor:
        # As autovacuum leaves a table.
        words = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}
        cursor.execute(f"{words[connection.vendor]} upkeep_deadletter")
    contents = Contents(Shelf(run=run), Filter("open", cause, ""))
    with CaptureQueriesContext(connection) as queries:
        assert len(contents.letters) in {PAGE_OF_LETTERS, 7}
    found = [(rows_read(q["sql"]), q["sql"]) for q in queries]
    assert sum(rows for rows, _sql in found) <= 250, found


@pytest.mark.django_db(transaction=True)
def test_to_count_causes_those_in_the_state_are_read_alone() -> None:
    run, other = run_in(Status.SUCCEEDED), run_in(Status.SUCCEEDED)
    for each, number in ((run, 4_000), (other, 40_000)):
        DeadLetter.objects.bulk_create(
            DeadLetter(
                run=each,
                state="resolved" if n % 4 else "open",
                fingerprint="ab"[n % 8 == 0] * 64,
            )
            for n in range(number)
        )
    with connection.cursor() as cursor:
        words = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}
        cursor.execute(f"{words[connection.vendor]} upkeep_deadletter")
    with CaptureQueriesContext(connection) as queries:
        causes = run.dead_letters.open().by_cause()[:50]
        assert [each["count"] for each in causes] == [500, 500]
    assert sum(rows_read(query["sql"]) for query in queries) <= 1_010


@pytest.mark.django_db(transaction=True)
def test_to_know_if_any_is_open_one_is_read_of_each_run_at_most() -> None:
    """Also where the others of a run, or all of another, are a great many."""
    *seen_to, waiting = [run_in(Status.SUCCEEDED) for _ in range(3)]
    Run.objects.update(failed=1)
    for run, state in ((seen_to[0], "discarded"), (waiting, "open")):
        DeadLetter.objects.bulk_create(
            DeadLetter(run=run, state=state, fingerprint="a" * 64)
            for _ in range(20_000)
        )
    with connection.cursor() as cursor:
        words = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}
        cursor.execute(f"{words[connection.vendor]} upkeep_deadletter")
    with CaptureQueriesContext(connection) as queries:
        assert list(runs_with_open_letters()) == [waiting]
    found = [(rows_read(q["sql"]), q["sql"]) for q in queries]
    assert sum(rows for rows, _sql in found) <= 10, found


def place_at(collection: RecordsCollection, number: int) -> Any:
    """Return the cursor behind so many rows, in the order of the walk."""
    if not number:
        return None
    columns = collection.keyset.columns
    values = collection.records.values_list(*[column.name for column in columns])
    (last,) = values[number - 1 : number]
    return collection.cursor(last if len(columns) > 1 else last[0], None)


def rows_read(sql: str) -> float:
    """Return how many rows the database looks at to answer a query."""
    is_mysql = connection.vendor == "mysql"
    explain = "ANALYZE FORMAT=JSON" if is_mysql else "EXPLAIN (ANALYZE, FORMAT JSON)"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        (plan,) = cursor.fetchone()
    return sum(reads(json.loads(plan) if isinstance(plan, str) else plan))


def reads(plan: Any) -> Iterator[float]:
    """Yield the rows that each scan of a plan has read."""
    if isinstance(plan, list):
        for part in plan:
            yield from reads(part)
    elif isinstance(plan, dict):
        if "r_rows" in plan and "table_name" in plan:
            yield plan["r_rows"] * plan["r_loops"]
        if "Relation Name" in plan:
            lost = [value for key, value in plan.items() if key.startswith("Rows Rem")]
            yield (plan["Actual Rows"] + sum(lost)) * plan["Actual Loops"]
        for part in plan.values():
            yield from reads(part)
