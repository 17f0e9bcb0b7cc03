"""How many runs of a task may be active at once."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.core.files.base import ContentFile
from django.db import IntegrityError, connection
from pytest_django import Settings

from tests.runs.stages import claim, run_in
from tests.testapp.maintenance import CountUp, CountUpTo, ImportItems, Numbers
from upkeep.exceptions import AlreadyActive
from upkeep.runs import slots
from upkeep.runs.models import Run
from upkeep.runs.status import ACTIVE, ENDED, Status


@pytest.mark.django_db
class TestOne:
    """`concurrency = 1`: one run with the same parameters."""

    def test_with_the_same_parameters_the_second_is_refused(self) -> None:
        first = CountUpTo.enqueue(up_to=3)
        with pytest.raises(AlreadyActive) as caught:
            CountUpTo.enqueue(up_to="3")
        assert str(caught.value) == (
            f"{first} with the same parameters is enqueued. "
            "Wait for it, cancel it, or raise the task's concurrency."
        )

    def test_with_other_parameters_both_run(self) -> None:
        CountUpTo.enqueue(up_to=3)
        CountUpTo.enqueue(up_to=4)

    def test_other_tasks_do_not_count(self) -> None:
        CountUp.enqueue()
        CountUpTo.enqueue(up_to=3)

    def test_one_that_is_paused_is_not_to_be_waited_for(self) -> None:
        CountUpTo.enqueue(up_to=3).pause()
        with pytest.raises(AlreadyActive, match=r"is paused\. Resume it, or cancel it"):
            CountUpTo.enqueue(up_to=3)

    def test_another_copy_of_the_same_file_is_the_same(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        settings.BASE_DIR = tmp_path
        ImportItems.enqueue(csv_file=ContentFile(b"name,n\n", name="a.csv"))
        with pytest.raises(AlreadyActive):
            ImportItems.enqueue(csv_file=ContentFile(b"name,n\n", name="a.csv"))
        ImportItems.enqueue(csv_file=ContentFile(b"name,n\na,1", name="a.csv"))

    @pytest.mark.parametrize("status", sorted(ACTIVE))
    def test_an_active_run_holds_its_slot(self, status: Status) -> None:
        run_in(status, CountUp)
        with pytest.raises(AlreadyActive):
            CountUp.enqueue()

    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_a_run_that_is_over_has_given_it_back(self, status: Status) -> None:
        assert run_in(status, CountUp).active_key is None
        CountUp.enqueue()


@pytest.mark.django_db
class TestSeveral:
    """`concurrency = n`: n runs, whatever their parameters."""

    @pytest.fixture(autouse=True)
    def two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CountUpTo, "concurrency", 2)

    def test_the_next_one_is_refused(self) -> None:
        CountUpTo.enqueue(up_to=1)
        CountUpTo.enqueue(up_to=1)
        with pytest.raises(AlreadyActive, match=r"2 runs of testapp\.CountUpTo are"):
            CountUpTo.enqueue(up_to=2)

    def test_whichever_ends_makes_room(self) -> None:
        runs = [CountUpTo.enqueue(up_to=n) for n in range(2)]
        for run in runs:
            run.cancel()
            CountUpTo.enqueue(up_to=5)
            with pytest.raises(AlreadyActive):
                CountUpTo.enqueue(up_to=6)


@pytest.mark.django_db
class TestNoLimit:
    def test_any_number_runs(self) -> None:
        for _ in range(5):
            assert Numbers.enqueue().active_key is None


@pytest.mark.django_db
class TestResume:
    def test_takes_the_slot_again(self) -> None:
        run = run_in(Status.ERRORED, CountUp)
        run.resume()
        assert run.active_key
        with pytest.raises(AlreadyActive):
            CountUp.enqueue()

    def test_is_refused_where_another_run_took_it(self) -> None:
        run = run_in(Status.ERRORED, CountUp)
        other = CountUp.enqueue()
        with pytest.raises(AlreadyActive, match=f"{other} with the same parameters"):
            run.resume()
        run.refresh_from_db()
        assert (run.status, run.active_key) == (Status.ERRORED, None)

    def test_of_a_paused_run_keeps_the_slot_that_it_never_gave_back(self) -> None:
        run = run_in(Status.PAUSED, CountUp)
        key = run.active_key
        run.resume()
        assert run.active_key == key

    def test_finds_another_slot_where_there_are_several(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(CountUpTo, "concurrency", 2)
        run = run_in(Status.ERRORED, CountUpTo, up_to=1)
        CountUpTo.enqueue(up_to=2)
        run.resume()
        assert run.status == Status.ENQUEUED

    def test_lost_to_another_person_is_no_error_and_happens_once(self) -> None:
        run = run_in(Status.ERRORED, CountUp)
        late = Run.objects.get(pk=run.pk)
        run.resume()
        assert late.move_to(Status.ENQUEUED, sources=[Status.ERRORED]) is False


@pytest.mark.django_db
class TestErrors:
    def test_that_are_not_about_the_slot_are_not_hidden(self) -> None:
        def write(key: str | None) -> None:
            raise IntegrityError("something else")

        with pytest.raises(IntegrityError, match="something else"):
            slots.take(Run(task="testapp.CountUp"), write)

    def test_about_a_slot_whose_holder_cannot_be_seen_are_told_as_such(self) -> None:
        """Under repeatable read it may be newer than what this transaction sees."""

        def write(key: str | None) -> None:
            raise IntegrityError("UNIQUE constraint failed: upkeep_run.active_key")

        with pytest.raises(AlreadyActive, match="with the same parameters is active"):
            slots.take(Run(task="testapp.CountUp"), write)


@pytest.mark.django_db(transaction=True)
class TestRace:
    """Of many who come at once the database lets in as many as there are slots."""

    def test_for_one_slot_has_one_winner(self) -> None:
        assert sorted(raced(CountUp.enqueue)) == ["", *["AlreadyActive"] * 4]

    def test_for_two_slots_has_two_winners(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(CountUp, "concurrency", 2)
        assert sorted(raced(CountUp.enqueue)) == ["", "", *["AlreadyActive"] * 3]

    def test_to_resume_or_to_enqueue_has_one_winner(self) -> None:
        run = run_in(Status.ERRORED, CountUp)
        outcomes = raced(lambda: Run.objects.get(pk=run.pk).resume(), CountUp.enqueue)
        assert sorted(outcomes) == ["", "AlreadyActive"]

    def test_to_claim_has_one_winner(self) -> None:
        run = CountUp.enqueue()
        outcomes = raced(*[lambda: claim(Run.objects.get(pk=run.pk))] * 4)
        assert outcomes.count("") == 1


def raced(*verbs: Callable[[], object]) -> list[str]:
    """Do all at the same moment; return the name of the error of each, or ""."""
    verbs = verbs * 5 if len(verbs) == 1 else verbs
    together, outcomes = Barrier(len(verbs)), list[str]()

    def run(verb: Callable[[], object]) -> None:
        connection.ensure_connection()
        together.wait(timeout=10)
        try:
            verb()
            outcomes.append("")
        except Exception as error:  # noqa: BLE001 - the error is the outcome
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [Thread(target=run, args=[verb]) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
