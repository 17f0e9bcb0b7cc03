"""A database that keeps the command line from its work is told of in a sentence."""

import json
import subprocess
from pathlib import Path

import pytest
from django.db import OperationalError, ProgrammingError, connection

from tests.management.commands import started, upkeep
from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from upkeep.models import Run
from upkeep.runs.status import Status

# As MariaDB says it.
LOCKED = (1205, "Lock wait timeout exceeded; try restarting transaction")


def given_to(database: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Give a command in a project whose database is that file."""
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)}
    process = started(
        *words, environment={"UPKEEP_TEST_DATABASE": json.dumps(settings)}
    )
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


class TestTablesThatAreMissing:
    @pytest.mark.parametrize(
        "words",
        [
            ["list"],
            ["status"],
            ["run", "testapp.Numbers"],
            ["run", "testapp.Numbers", "--inline"],
            ["pause", "1"],
            ["log", "1"],
            ["recover"],
            ["worker"],
        ],
    )
    def test_are_told_of_with_the_remedy(
        self, words: list[str], tmp_path: Path
    ) -> None:
        done = given_to(tmp_path / "empty.sqlite3", *words)
        assert done.returncode == 1
        assert done.stderr.endswith(
            "Upkeep's tables are missing from the database 'default'. "
            "Type: manage.py migrate\n"
        )
        assert "Traceback" not in done.stderr
        assert not done.stdout


@pytest.mark.django_db
def test_a_database_that_is_away_is_told_of_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody need try again where a name is wrong."""

    def away(*args: object, **options: object) -> None:
        raise OperationalError(2003, "Can't connect to server\n on 'nowhere'.")

    monkeypatch.setattr(Run, "save", away)
    err = upkeep("run", "testapp.Numbers").err
    assert err.startswith(
        "Failed: The database does not answer: Can't connect to server on 'nowhere'. "
        "Try again."
    )


@pytest.mark.django_db
class TestDatabaseThatIsBusy:
    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch) -> Run:
        """Return a run that may not be written."""

        def locked(*args: object, **options: object) -> None:
            raise OperationalError(*LOCKED)

        run = run_in(Status.ENQUEUED)
        monkeypatch.setattr(Run, "move_to", locked)
        return run

    def test_is_told_of_with_what_to_type_again(self, run: Run) -> None:
        outcome = upkeep("pause", run.pk)
        assert outcome.status == 1
        assert outcome.err.startswith(
            f"Failed: The database is locked, so run {run.pk} was not paused. "
            f"Try again: manage.py upkeep pause {run.pk}"
        )

    def test_says_on_sqlite_who_may_keep_it_so(self, run: Run) -> None:
        hint = "If it stays locked, an item of a run may hold it"
        is_told = hint in upkeep("pause", run.pk).err
        assert is_told == (connection.vendor == "sqlite")

    def test_does_not_keep_other_wishes_from_being_tried(self, run: Run) -> None:
        other = Numbers.enqueue()
        err = upkeep("cancel", run.pk, other.pk).err
        assert f"run {run.pk} was not cancelled" in err
        assert f"run {other.pk} was not cancelled" in err

    def test_keeps_a_run_from_being_enqueued_and_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*args: object, **options: object) -> None:
            raise OperationalError(*LOCKED)

        monkeypatch.setattr(Run, "save", away)
        outcome = upkeep("run", "testapp.Numbers")
        assert outcome.status == 1
        assert outcome.err.startswith("Failed: The database is locked. Try again.")

    def test_is_not_blamed_for_an_error_of_ours(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def wrong(*args: object, **options: object) -> None:
            raise ProgrammingError("no such column")

        monkeypatch.setattr(Run, "save", wrong)
        with pytest.raises(ProgrammingError, match="no such column"):
            upkeep("run", "testapp.Numbers")
