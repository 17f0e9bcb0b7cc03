"""How a run comes to be: all of it, or nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.base import ContentFile
from django.db import transaction
from pytest_django import Settings

from tests.testapp.maintenance import (
    Confide,
    CountUp,
    CountUpTo,
    ImportItems,
    Numbers,
)
from upkeep.exceptions import AlreadyActive, InvalidParameters
from upkeep.runs import intake
from upkeep.runs.events import Event
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.order import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.BASE_DIR = tmp_path
    return tmp_path / "upkeep-files"


def files_in(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.name != ".gitignore"]


def items_csv() -> ContentFile[bytes]:
    return ContentFile(b"name,n\na,1\n", name="items.csv")


def order() -> Order:
    return Numbers.using(queue="low", priority=-10, by="anna", metadata={"ticket": 7})


def nobody(run: Run) -> None:
    """Be told, and do nothing."""


class TestWrite:
    def test_keeps_all_that_was_asked_for(self) -> None:
        run = intake.write(order(), tell=nobody)
        run.refresh_from_db()
        assert (run.task, run.status) == ("testapp.Numbers", Status.ENQUEUED)
        assert (run.queue, run.priority, run.backend) == ("low", -10, "default")
        assert run.metadata == {"ticket": 7}
        assert (run.done, run.total, run.cursor, run.attempts) == (0, None, None, 0)
        assert (run.started_at, run.ended_at) == (None, None)

    def test_makes_the_lease_with_the_token_of_the_run(self) -> None:
        run = intake.write(order(), tell=nobody)
        lease = Lease.objects.get(run=run)
        assert (lease.token, lease.until) == (run.lease_token, None)

    def test_begins_the_story(self) -> None:
        event = intake.write(order(), tell=nobody).events.get()
        assert (event.kind, event.status, event.actor) == ("move", "enqueued", "anna")

    def test_tells_who_is_to_know_once_the_row_is_there(self) -> None:
        told: list[bool] = []
        intake.write(order(), tell=lambda run: told.append(Run.objects.contains(run)))
        assert told == [True]

    def test_keeps_the_cleaned_values(self) -> None:
        run = CountUpTo.enqueue(up_to="7")
        assert run.parameters == {"up_to": 7}

    def test_keeps_long_values_whole(self) -> None:
        story = "a long story " * 10_000
        run = Confide.enqueue(story=story)
        assert Run.objects.get(pk=run.pk).parameters["story"] == story.strip()

    def test_knows_the_user_who_asked(self) -> None:
        user = User.objects.create(username="anna")
        assert Numbers.using(by=user).enqueue().requested_by == user

    @pytest.mark.parametrize("by", ["cron", None, AnonymousUser()])
    def test_without_a_user_points_to_none(self, by: Any) -> None:
        assert Numbers.using(by=by).enqueue().requested_by is None


class TestRefusal:
    """Whatever goes wrong, there is no row, no lease, no event and no file."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self, folder: Path) -> Any:
        yield
        assert not Run.objects.exists()
        assert not Lease.objects.exists()
        assert not Event.objects.exists()
        assert not files_in(folder)

    def test_of_wrong_parameters(self) -> None:
        with pytest.raises(InvalidParameters) as caught:
            CountUpTo.enqueue(up_to="many")
        assert caught.value.errors == {"up_to": ["Enter a whole number."]}

    def test_of_unknown_parameters(self) -> None:
        with pytest.raises(InvalidParameters, match="upto"):
            CountUpTo.enqueue(upto=3)

    def test_of_a_missing_file(self) -> None:
        with pytest.raises(InvalidParameters, match="csv_file: This field is required"):
            ImportItems.enqueue()

    def test_of_a_file_that_the_task_does_not_take(self) -> None:
        with pytest.raises(InvalidParameters, match="Unknown parameter: csv_file"):
            CountUp.enqueue(csv_file=items_csv())

    def test_of_metadata_that_does_not_fit_in_json(self) -> None:
        with pytest.raises(TypeError):
            Numbers.using(metadata={"when": object()}).enqueue()

    def test_where_nobody_can_be_told(self) -> None:
        def fail(run: Run) -> None:
            raise OSError("The queue is down.")

        wanted = replace(ImportItems.using(), given={"csv_file": items_csv()})
        with pytest.raises(OSError, match="queue is down"):
            intake.write(wanted, tell=fail)

    def test_where_the_caller_thinks_better_of_it(self) -> None:
        with transaction.atomic():
            CountUp.enqueue()
            transaction.set_rollback(True)


class TestFiles:
    def test_of_a_run_stay(self, folder: Path) -> None:
        ImportItems.enqueue(csv_file=items_csv())
        assert len(files_in(folder)) == 1

    def test_of_a_refused_run_are_deleted_and_those_of_the_first_are_not(
        self, folder: Path
    ) -> None:
        ImportItems.enqueue(csv_file=items_csv())
        (first,) = files_in(folder)
        with pytest.raises(AlreadyActive):
            ImportItems.enqueue(csv_file=items_csv())
        assert files_in(folder) == [first]
