"""Declared writes and blocks, under what people do inside of process()."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from tests.execution.story import effects, once, resume
from tests.testapp.clock import clock
from tests.testapp.models import Effect, Item
from upkeep import Quarantine, Task
from upkeep.execution.chunks import BLOCK
from upkeep.models import Run
from upkeep.runs.status import Status

Known = Callable[[Any], Any]

MIDDLE = 7

pytestmark = pytest.mark.usefixtures("items", "still_clock")


def numbers() -> dict[int, int]:
    return dict(Item.objects.values_list("pk", "n"))


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def hidden(sql: str) -> None:
    """Go on after an error as if there were none."""
    with suppress(IntegrityError):
        execute(sql)


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.status, run.done, run.failed, run.skipped


@pytest.fixture
def trial(known: Known) -> Any:
    @known
    class Trial(Task):
        updates = ("n",)
        harm: Any = staticmethod(lambda item: None)

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            item.n += 1
            type(self).harm(item)

    return Trial


class TestRowThatAnEarlierBlockChanged:
    """A page has several blocks where items take their time."""

    def test_is_worked_on_again_though_another_row_was_gone_meanwhile(
        self, trial: Any
    ) -> None:
        def harm(item: Item) -> None:
            clock.sleep(BLOCK)
            if item.pk == 1:
                Item.objects.filter(pk=1).delete()
                Item.objects.filter(pk=2).update(n=100)

        trial.harm, trial.on_error = staticmethod(harm), [Quarantine(KeyError)]
        run = trial.run_now()
        assert counts(run) == (Status.SUCCEEDED, 19, 0, 1), run.reason
        assert numbers()[2] == 101


ENDS = {
    "commit": lambda: execute("COMMIT"),
    "rollback": lambda: execute("ROLLBACK"),
}
if connection.vendor == "sqlite":
    ENDS |= {
        "constraint": lambda: hidden("INSERT INTO fragile VALUES (1)"),
        "script": lambda: connection.connection.executescript("SELECT 1"),
    }


@pytest.fixture
def fragile(items: list[Item]) -> Iterator[None]:
    """Have a table of SQLite whose constraint ends the transaction that breaks it."""
    if connection.vendor != "sqlite":
        yield
        return
    execute("CREATE TABLE fragile (x UNIQUE ON CONFLICT ROLLBACK)")
    execute("INSERT INTO fragile VALUES (1)")
    yield
    execute("DROP TABLE fragile")


@pytest.mark.usefixtures("fragile")
class TestTransactionThatEnded:
    """What is written behind its end nothing would undo, and resume does it again."""

    @pytest.mark.parametrize("bad", [1, MIDDLE, 20])
    @pytest.mark.parametrize("rules", [[], [Quarantine(KeyError)]], ids=["", "rules"])
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_keeps_no_declared_write(
        self, trial: Any, end: Any, bad: int, rules: Any
    ) -> None:
        def harm(item: Item) -> None:
            if item.pk == bad:
                end()

        trial.harm, trial.on_error = staticmethod(harm), rules
        run = trial.run_now()
        assert run.error_class == "upkeep.exceptions.TransactionEnded"
        trial.harm = staticmethod(lambda item: None)
        resume(run)
        assert numbers() == once(*range(1, 21))

    def test_keeps_no_effect_of_the_items_behind_it(self, trial: Any) -> None:
        def harm(item: Item) -> None:
            if item.pk == MIDDLE:
                execute("ROLLBACK")
            with suppress(Exception), transaction.atomic():
                Effect.objects.create(item=item.pk)

        trial.harm = staticmethod(harm)
        assert trial.run_now().error_class == "upkeep.exceptions.TransactionEnded"
        assert effects() == {}


@pytest.mark.parametrize("rules", [[], [Quarantine(KeyError)]], ids=["", "rules"])
def test_no_item_goes_back_behind_the_pages_before_it(trial: Any, rules: Any) -> None:
    kept: list[str] = []

    def harm(item: Item) -> None:
        if item.pk == 2:
            kept[:] = [transaction.savepoint()]
        if item.pk == 12:
            transaction.savepoint_rollback(kept[0])

    trial.harm, trial.on_error = staticmethod(harm), rules
    trial.batch_size = 5
    run = trial.run_now()
    assert counts(run) == (Status.ERRORED, 11, 0, 0)
    assert numbers() == {pk: pk < 12 for pk in range(1, 21)}
