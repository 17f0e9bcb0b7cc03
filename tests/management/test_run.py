"""`upkeep run` starts runs, and its exit status says what became of them."""

import getpass
import io
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import django
import pytest
from pytest_django import Settings

from tests.management.commands import upkeep
from tests.management.conftest import Start
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Effect, Item
from upkeep.models import Run

pytestmark = pytest.mark.django_db

HEADER = b"name,n\n"
IMMEDIATE = (
    "django.tasks.backends.immediate.ImmediateBackend"
    if django.VERSION >= (6, 0)
    else "django_tasks.backends.immediate.ImmediateBackend"
)


class TestEnqueue:
    def test_says_what_it_did_and_how_to_go_on(self) -> None:
        outcome = upkeep("run", "testapp.CountUp")
        run = Run.objects.get()
        assert outcome.status == 0
        assert outcome.out == (
            f"Run {run.pk} of testapp.CountUp enqueued.\n"
            f"To watch it, type: manage.py upkeep status {run.pk} --follow\n"
        )
        assert run.status == "enqueued"

    def test_notes_who_asked_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getpass, "getuser", lambda: "ada")
        upkeep("run", "testapp.CountUp")
        event = Run.objects.get().events.get()
        assert (event.actor, event.source) == ("ada", "command")

    def test_takes_a_person_without_a_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A container may know no name for the number that its processes have."""

        def nameless() -> None:
            raise KeyError("getpwuid(): uid not found: 12345")

        monkeypatch.setattr(getpass, "getuser", nameless)
        assert upkeep("run", "testapp.CountUp").status == 0

    def test_takes_queue_priority_and_time(self) -> None:
        upkeep(
            *("run", "testapp.CountUp", "--queue", "low", "--priority", 7),
            *("--run-after", "2099-01-02T03:04"),
        )
        run = Run.objects.get()
        assert (run.queue, run.priority) == ("low", 7)
        # In the time zone of the project, which is Berlin's.
        assert run.run_after == datetime(2099, 1, 2, 2, 4, tzinfo=UTC)

    @pytest.mark.django_db(transaction=True)
    def test_tells_how_it_ended_where_the_backend_ran_it_at_once(
        self, settings: Settings
    ) -> None:
        settings.TASKS = {
            "default": {"BACKEND": IMMEDIATE, "QUEUES": []},
        }
        outcome = upkeep("run", "testapp.Report")
        assert outcome.status == 0
        assert f"Run {Run.objects.get().pk} of testapp.Report succeeded" in outcome.out
        assert "To watch it" not in outcome.out


class TestParameters:
    def test_are_cleaned_as_a_form_cleans_them(self) -> None:
        upkeep("run", "testapp.CountUpTo", "-p", "up_to=12")
        assert Run.objects.get().parameters == {"up_to": 12}

    def test_may_hold_equals_signs(self) -> None:
        upkeep("run", "testapp.Confide", "-p", "story=a=b")
        assert Run.objects.get().parameters["story"] == "a=b"

    @pytest.fixture(autouse=True)
    def storage(self, settings: Settings, tmp_path: Path) -> None:
        settings.BASE_DIR = tmp_path

    def test_may_be_files(self, tmp_path: Path) -> None:
        path = tmp_path / "items.csv"
        path.write_bytes(HEADER + b"one,1\n")
        upkeep("run", "testapp.ImportItems", "-p", f"csv_file=@{path}", "--inline")
        assert Item.objects.get().name == "one"

    def test_may_come_from_the_standard_input(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stdin = SimpleNamespace(buffer=io.BytesIO(HEADER + b"two,2\n"))
        monkeypatch.setattr("sys.stdin", stdin)
        upkeep("run", "testapp.ImportItems", "-p", "csv_file=-", "--inline")
        assert Item.objects.get().name == "two"


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["testapp.CountUpp"], "Did you mean testapp.CountUp?"),
            (["testapp.CountUp", "-p", "x=1"], "Unknown parameter: x. CountUp takes"),
            (["testapp.CountUpTo"], "up_to: This field is required."),
            (["testapp.CountUpTo", "-p", "up_to=no"], "up_to: Enter a whole number."),
            (["testapp.ImportItems", "-p", "csv_file=x"], "Give a file as @path"),
            (["testapp.ImportItems", "-p", "csv_file=@/nix"], "cannot be read"),
        ],
    )
    def test_is_status_2_and_a_sentence(self, words: list[str], sentence: str) -> None:
        outcome = upkeep("run", *words)
        assert outcome.status == 2
        assert outcome.err.startswith("Usage: ")
        assert sentence in outcome.err
        assert not Run.objects.exists()

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["-p", "up_to"], "'up_to' is not of the form name=value."),
            (["--run-after", "soon"], "'soon' is no moment"),
            (["--run-after", "2030-13-32T00:00"], "is no moment"),
            (["--run-after", "9999-12-31T23:59:59"], "is at the end of time"),
            (["--run-after", "0001-01-01T00:00+10:00"], "is at the end of time"),
            (["--follow", "--inline"], "not allowed with"),
        ],
    )
    def test_is_checked_before_anything_is_looked_up(
        self, words: list[str], sentence: str
    ) -> None:
        assert sentence in upkeep("run", "testapp.CountUp", *words).err

    @pytest.mark.parametrize("word", ["up_to=4", "--up_to=4"])
    def test_of_a_parameter_as_an_argument_is_explained(self, word: str) -> None:
        outcome = upkeep("run", "testapp.CountUpTo", word)
        assert outcome.err.endswith("Write parameters as -p up_to=4.")

    def test_of_parameters_says_where_they_are_listed(self) -> None:
        outcome = upkeep("run", "testapp.CountUpTo")
        assert outcome.err.endswith(
            "What it takes: manage.py upkeep list testapp.CountUpTo"
        )

    def test_of_a_process_has_status_2(self, start: Start) -> None:
        process = start("run", "testapp.CountUp", "--nonsense")
        _, err = process.communicate()
        assert process.returncode == 2
        assert "unrecognized arguments: --nonsense" in err

    def test_takes_options_of_all_commands_behind_the_verb(self, start: Start) -> None:
        process = start("run", "testapp.CountUp", "--settings", "tests.settings")
        process.communicate()
        assert process.returncode == 0


class TestRefusal:
    def test_of_a_run_that_is_active_is_status_3(self) -> None:
        active = CountUp.enqueue()
        outcome = upkeep("run", "testapp.CountUp")
        assert outcome.status == 3
        assert f"Refused: run {active.pk} of testapp.CountUp" in outcome.err

    def test_of_a_queue_is_status_3(self, settings: Settings) -> None:
        settings.TASKS = {
            "default": settings.TASKS["default"] | {"QUEUES": ["default"]}
        }
        outcome = upkeep("run", "testapp.CountUp", "--queue", "nowhere")
        assert outcome.status == 3
        assert "TASKS" in outcome.err
        assert not Run.objects.exists()


class TestInline:
    """It runs in this process, and needs neither worker nor thread."""

    def test_ends_with_status_0_when_it_succeeded(self) -> None:
        Item.objects.bulk_create(Item() for _ in range(3))
        outcome = upkeep("run", "testapp.CountUp", "--inline")
        assert outcome.status == 0
        assert "succeeded after" in outcome.out
        assert "3 of 3 items (100 %)" in outcome.out
        assert Effect.objects.count() == 3

    def test_tells_its_story_while_it_runs(self) -> None:
        out = upkeep("run", "testapp.Report", "--inline").out
        told = [line[21:] for line in out.splitlines() if line.startswith("20")]
        assert [words.split()[0] for words in told] == [
            *("enqueued", "running", "log", "succeeded")
        ]
        assert told[2] == "log          Counting …"

    def test_shows_the_result_of_a_job(self) -> None:
        assert 'Result: {"items": 0}' in upkeep("run", "testapp.Report", "--inline").out

    def test_that_errors_ends_with_status_1_and_the_traceback(self) -> None:
        Item.objects.create(pk=5)
        outcome = upkeep("run", "testapp.CountUpTo", "-p", "up_to=4", "--inline")
        run = Run.objects.get()
        assert outcome.status == 1
        assert outcome.err.startswith("Traceback (most recent call last):")
        assert "\nValueError: 5 is beyond 4\n" in outcome.err
        assert outcome.err.endswith(
            "Mend the cause, restart the workers if you changed code, then type: "
            f"manage.py upkeep resume {run.pk}"
        )

    def test_of_a_file_that_cannot_be_read_says_to_start_anew(
        self, tmp_path: Path, settings: Settings
    ) -> None:
        """The run has a copy of its own, which nobody can correct."""
        settings.BASE_DIR = tmp_path
        path = tmp_path / "items.csv"
        path.write_bytes(HEADER + b"one\n")
        err = upkeep(
            *("run", "testapp.ImportItems", "-p", f"csv_file=@{path}", "--inline")
        ).err
        assert err.endswith("correct yours, and start a new run.")

    def test_shows_no_secret(self) -> None:
        words = ["-p", "story=a dark one", "-p", "api_key=open-sesame"]
        outcome = upkeep("run", "testapp.Confide", *words, "--inline")
        assert "[FILTERED] is out, and so is [FILTERED]" in outcome.err
        assert "a dark one" not in outcome.out + outcome.err
        assert "open-sesame" not in outcome.out + outcome.err
