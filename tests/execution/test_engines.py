"""Tables that no rollback reaches are refused to the engine, and told of to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.execution.story import log_of
from tests.testapp.engines import without_transactions
from tests.testapp.models import Effect
from upkeep import Task
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db(transaction=True)

Known = Callable[[Any], Any]


@pytest.fixture
def ledger() -> Iterator[None]:
    """Keep the ledger where no rollback reaches it, with three lines in it."""
    if connection.vendor != "mysql":
        pytest.skip("by design: only MariaDB has tables without transactions")
    with without_transactions("testapp_effect"):
        Effect.objects.bulk_create(Effect(item=number) for number in range(3))
        yield
        Effect.objects.all().delete()


class Walk(Task):
    """Walk the ledger, and write what the trial says."""

    abstract = True

    def collection(self) -> Any:
        return Effect.objects.all()

    def process(self, effect: Effect) -> Any:
        effect.item += 1


@pytest.mark.usefixtures("ledger")
class TestRefused:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("updates", ("item",)), ("deletes", True), ("creates", Effect)],
    )
    def test_is_what_is_left_to_the_engine(
        self, known: Known, name: str, value: object
    ) -> None:
        run = known(type("Trial", (Walk,), {name: value})).run_now()
        assert (run.status, run.done) == (Status.ERRORED, 0)
        assert run.reason.startswith(f"InvalidTask: Trial.{name} are saved in ")
        assert "testapp_effect is in MyISAM" in run.reason
        assert "ALTER TABLE testapp_effect ENGINE = InnoDB" in run.reason
        assert sorted(Effect.objects.values_list("item", flat=True)) == [0, 1, 2]


@pytest.mark.usefixtures("ledger")
class TestTold:
    def test_is_what_is_walked(self, known: Known) -> None:
        run = known(type("Trial", (Walk,), {})).run_now()
        assert run.status == Status.SUCCEEDED
        (line,) = log_of(run)
        assert line.startswith("The table testapp_effect is in MyISAM, ")
        assert run.logged == 1

    def test_is_not_what_is_worked_on_at_least_once_anyway(self, known: Known) -> None:
        run = known(type("Trial", (Walk,), {"atomic": False})).run_now()
        assert log_of(run) == []

    def test_is_not_what_others_walk(self, known: Known) -> None:
        numbers = {"collection": lambda self: [], "process": lambda self, item: None}
        assert log_of(known(type("Trial", (Walk,), numbers)).run_now()) == []


class TestCost:
    def test_is_one_question_on_mariadb_and_none_elsewhere(self, known: Known) -> None:
        with CaptureQueriesContext(connection) as queries:
            run = known(type("Trial", (Walk,), {})).run_now()
        asked = [each for each in queries if "information_schema" in each["sql"]]
        assert len(asked) == (connection.vendor == "mysql")
        assert log_of(run) == []
