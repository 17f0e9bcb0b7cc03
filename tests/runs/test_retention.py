"""Runs that are over for long are deleted, with all that is theirs, and no others."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tests.runs.stages import claim, run_in
from tests.runs.test_slots import raced
from tests.runs.test_uploads import kept
from tests.testapp.maintenance import CountUp, ImportItems, Numbers
from tests.testapp.models import Mark, Receipt
from upkeep import databases
from upkeep.dispatch import recovery
from upkeep.dispatch.recovery import sweep
from upkeep.models import DeadLetter, Event, Lease, Run, Upload
from upkeep.runs import retention
from upkeep.runs.retention import Pruned, prune
from upkeep.runs.status import ACTIVE, ENDED, Status
from upkeep.tasks import uploads

A_MONTH = timedelta(days=30)


def age(*runs: Run, by: timedelta = timedelta(days=31)) -> None:
    """Let runs have been made, and if they are over have ended, so long ago."""
    then = timezone.now() - by
    rows = Run.objects.filter(pk__in=[run.pk for run in runs])
    rows.update(created_at=then)
    rows.filter(ended_at__isnull=False).update(ended_at=then)


def old(status: Status = Status.SUCCEEDED, **given: Any) -> Run:
    run = run_in(status, Numbers, **given)
    age(run)
    return run


def items_csv() -> ContentFile[bytes]:
    return ContentFile(b"name,n\na,1\n", name="items.csv")


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.BASE_DIR = tmp_path
    return tmp_path / "upkeep-files"


@pytest.mark.django_db
class TestPrune:
    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_deletes_what_is_over_for_long(self, status: Status) -> None:
        run = old(status)
        events = run.events.count()
        assert prune(A_MONTH) == Pruned(runs=1, events=events)
        assert not Run.objects.exists()
        assert not Event.objects.exists()
        assert not Lease.objects.exists()

    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_leaves_what_ended_since(self, status: Status) -> None:
        run = old(status)
        Run.objects.update(ended_at=timezone.now() - timedelta(days=29))
        assert prune(A_MONTH) == Pruned()
        assert Run.objects.get() == run

    @pytest.mark.parametrize("status", sorted(ACTIVE))
    def test_never_touches_an_active_run(self, status: Status) -> None:
        run = old(status)
        assert prune(timedelta(0)) == Pruned()
        assert Run.objects.get() == run

    def test_leaves_the_story_of_the_others_whole(self) -> None:
        old()
        young = run_in(Status.SUCCEEDED, Numbers)
        events = young.events.count()
        prune(A_MONTH)
        assert (young.events.count(), young.lease.run) == (events, young)

    def test_comes_to_those_behind_many_that_stay(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "LOOKED_AT_AT_ONCE", 2)
        for _ in range(5):
            old(Status.PAUSED)
        gone = [old() for _ in range(3)]
        assert prune(A_MONTH).runs == len(gone)
        assert Run.objects.count() == 5

    def test_does_not_look_at_runs_that_are_young(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "LOOKED_AT_AT_ONCE", 2)
        for _ in range(10):
            run_in(Status.SUCCEEDED, Numbers)
        with questions() as asked:
            prune(A_MONTH)
        assert len(asked) == 3  # the time, the runs, and letters without one

    @pytest.mark.parametrize(
        ("state", "settled", "created", "stays"),
        [
            ("resolved", 31, 31, False),
            ("discarded", 31, 31, False),
            ("discarded", None, 31, False),
            ("resolved", 29, 31, True),
            ("resolved", None, 29, True),
            ("open", None, 31, True),
            ("retrying", None, 31, True),
        ],
    )
    def test_of_calls_deletes_the_letters_that_nobody_needs(
        self, state: str, settled: int | None, created: int, *, stays: bool
    ) -> None:
        now = timezone.now()
        DeadLetter.objects.create(
            call="shop.charge",
            state=state,
            settled_at=now - timedelta(days=settled) if settled else None,
            created_at=now - timedelta(days=created),
        )
        found = Pruned(letters=0 if stays else 1)
        assert prune(A_MONTH, dry_run=True) == found
        assert DeadLetter.objects.exists()
        assert prune(A_MONTH) == found
        assert DeadLetter.objects.exists() is stays

    def test_of_items_the_letters_go_with_their_runs_and_not_before(self) -> None:
        run = run_in(Status.SUCCEEDED, Numbers)
        letter = DeadLetter.objects.create(
            run=run, state="resolved", created_at=timezone.now() - timedelta(days=31)
        )
        assert prune(A_MONTH) == Pruned()
        age(run)
        assert prune(A_MONTH).runs == 1
        assert not DeadLetter.objects.filter(pk=letter.pk).exists()

    def test_of_longer_than_there_is_time_deletes_nothing(self) -> None:
        old()
        assert prune(timedelta.max) == Pruned()

    def test_goes_by_the_clock_of_the_database(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a worker deletes whose own clock is wrong, nobody brings back."""
        run_in(Status.SUCCEEDED)
        in_a_year = timezone.now() + timedelta(days=365)
        monkeypatch.setattr(timezone, "now", lambda: in_a_year)
        assert prune(A_MONTH) == Pruned()
        assert Run.objects.count() == 1

    def test_stops_after_about_so_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "LOOKED_AT_AT_ONCE", 2)
        for _ in range(5):
            old()
        assert prune(A_MONTH, at_most=3).runs == 4

    def test_shares_out_what_would_be_too_many_rows_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "DELETED_AT_ONCE", 5)
        talkative = old()
        talkative.tell(Event.Kind.LOG, *"abcdefghijklm")
        others = [old() for _ in range(5)]
        events = Event.objects.count()
        with most_deleted() as most:
            pruned = prune(A_MONTH)
        assert pruned == Pruned(runs=6, events=events)
        assert max(most) <= 5, others


class questions:  # noqa: N801 - reads as what it is
    """Count the statements that are not about transactions."""

    def __enter__(self) -> list[str]:
        self.asked: list[str] = []
        self.wrapper = connection.execute_wrapper(self.note)
        self.wrapper.__enter__()
        return self.asked

    def note(self, execute: Any, sql: str, *args: Any) -> Any:
        if "SAVEPOINT" not in sql:
            self.asked.append(sql)
        return execute(sql, *args)

    def __exit__(self, *error: object) -> None:
        self.wrapper.__exit__(None, None, None)


class most_deleted:  # noqa: N801 - reads as what it is
    """Note how many events each statement deletes."""

    def __enter__(self) -> list[int]:
        self.most: list[int] = []
        self.wrapper = connection.execute_wrapper(self.note)
        self.wrapper.__enter__()
        return self.most

    def note(
        self, execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE") and "upkeep_event" in sql:
            self.most.append(context["cursor"].rowcount)
        return result

    def __exit__(self, *error: object) -> None:
        self.wrapper.__exit__(None, None, None)


@pytest.mark.django_db
class TestDryRun:
    def test_tells_the_same_and_deletes_nothing(self, folder: Path) -> None:
        run = run_in(Status.CANCELLED, ImportItems, csv_file=items_csv())
        age(run)
        old()
        run_in(Status.SUCCEEDED, Numbers)
        told = prune(A_MONTH, dry_run=True)
        assert (Run.objects.count(), Upload.objects.count()) == (3, 1)
        assert kept(folder) == ["items.csv"]
        assert told == prune(A_MONTH)


@pytest.mark.django_db
class TestFiles:
    def test_go_with_their_run_and_no_others(
        self,
        folder: Path,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        gone = run_in(Status.ERRORED, ImportItems, csv_file=items_csv())
        stays = run_in(Status.ERRORED, ImportItems, csv_file=items_csv())
        age(gone)
        with django_capture_on_commit_callbacks(execute=True):
            assert prune(A_MONTH).files == 1
        assert kept(folder) == ["items.csv"]
        assert Upload.objects.get().run == stays
        assert uploads.storage().exists(stays.parameters["csv_file"]["$file"])

    def test_that_the_storage_does_not_let_go_keep_no_run(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        age(run_in(Status.CANCELLED, ImportItems, csv_file=items_csv()))
        age(other := run_in(Status.CANCELLED, ImportItems, csv_file=items_csv()))
        remove = uploads.remove

        def away(name: str) -> None:
            if name != other.parameters["csv_file"]["$file"]:
                raise ConnectionError
            remove(name)

        monkeypatch.setattr(uploads, "remove", away)
        with django_capture_on_commit_callbacks(execute=True):
            pruned = prune(A_MONTH)
        assert (pruned.runs, pruned.files) == (2, 2)
        assert not Run.objects.exists()
        assert kept(folder) == ["items.csv"]  # It is swept in a day.


class TestReferences:
    @pytest.mark.django_db
    def test_that_protect_a_run_keep_it(self, caplog: pytest.LogCaptureFixture) -> None:
        runs = [old() for _ in range(4)]
        events = Event.objects.count()
        Receipt.objects.create(run=runs[1])
        with caplog.at_level(logging.WARNING, "upkeep"):
            assert prune(A_MONTH) == Pruned(runs=3, events=events - 3, kept=1)
        assert Run.objects.get() == runs[1]
        assert "1 old run stays" in caplog.text

    @pytest.mark.django_db(transaction=True)
    def test_that_come_meanwhile_keep_it_too(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs = [old() for _ in range(4)]
        events = Event.objects.count()
        Receipt.objects.create(run=runs[2])
        monkeypatch.setattr(retention, "_referred_to", lambda pks: set())
        with caplog.at_level(logging.WARNING, "upkeep"):
            assert prune(A_MONTH) == Pruned(runs=3, events=events - 3, kept=1)
        assert Run.objects.get() == runs[2]
        assert f"Run {runs[2].pk} stays" in caplog.text

    @pytest.fixture
    def marks(self, transactional_db: None) -> Iterator[None]:
        with connection.schema_editor() as editor:
            editor.create_model(Mark)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Mark)

    def test_that_the_database_alone_knows_keep_it_too(self, marks: None) -> None:
        runs = [old() for _ in range(4)]
        events = Event.objects.count()
        Mark.objects.create(run=runs[3])
        assert prune(A_MONTH) == Pruned(runs=3, events=events - 3, kept=1)
        assert runs[3].events.count() == 3
        assert runs[3].lease.run == runs[3]


def retried(number: int = 1) -> tuple[Run, list[Run]]:
    """Return an old run, and so many that have retried a dead letter of it."""
    parent = run_in(Status.SUCCEEDED, Numbers)
    letters = [parent.dead_letters.create(item=str(n)) for n in range(number)]
    children = [run for letter in letters if (run := letter.retry())]
    for child in children:
        claim(child).end(Status.SUCCEEDED)
    age(parent, *children)
    return parent, children


@pytest.mark.django_db(transaction=True)
class TestChildren:
    """A run goes behind those that retried its dead letters, and not before them."""

    def test_go_with_their_parent(self) -> None:
        retried(3)
        told = prune(A_MONTH, dry_run=True)
        assert (told.runs, told.kept) == (4, 0)
        assert prune(A_MONTH) == told
        assert not Run.objects.exists()
        assert not DeadLetter.objects.exists()

    @pytest.mark.parametrize("at_once", [1, 2, 3])
    def test_need_not_be_near_it(
        self, monkeypatch: pytest.MonkeyPatch, at_once: int
    ) -> None:
        monkeypatch.setattr(retention, "LOOKED_AT_AT_ONCE", at_once)
        retried(2)
        retried(1)
        old()
        told = prune(A_MONTH, dry_run=True)
        assert (told.runs, told.kept) == (6, 0)
        assert prune(A_MONTH) == told
        assert not Run.objects.exists()

    @pytest.mark.parametrize("status", sorted(Status))
    def test_that_stay_keep_it(self, status: Status) -> None:
        parent = old()
        child = run_in(status, Numbers)
        Run.objects.filter(pk=child.pk).update(parent=parent)
        assert prune(A_MONTH) == Pruned()
        assert Run.objects.count() == 2

    def test_may_go_before_it(self) -> None:
        parent, _children = retried()
        Run.objects.filter(pk=parent.pk).update(ended_at=timezone.now())
        assert prune(A_MONTH).runs == 1
        assert Run.objects.get() == parent
        assert parent.dead_letters.get().retried_by is None

    def test_that_are_protected_protect_it(self) -> None:
        parent, (child, _other) = retried(2)
        Receipt.objects.create(run=child)
        told = prune(A_MONTH, dry_run=True)
        assert (told.runs, told.kept) == (1, 1)
        assert prune(A_MONTH) == told
        assert set(Run.objects.all()) == {parent, child}

    def test_that_come_meanwhile_keep_it_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = old()
        parent.dead_letters.create(item="1")
        batches = retention._batches

        def meanwhile(pks: list[int]) -> Any:
            parent.dead_letters.retry()
            return batches(pks)

        monkeypatch.setattr(retention, "_batches", meanwhile)
        assert prune(A_MONTH) == Pruned()
        assert parent.children.count() == 1


class TestRace:
    @pytest.mark.django_db
    def test_a_run_that_is_resumed_before_its_turn_is_not_deleted(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = run_in(Status.ERRORED, ImportItems, csv_file=items_csv())
        age(run)
        batches = retention._batches

        def meanwhile(pks: list[int]) -> Any:
            run.resume()
            return batches(pks)

        monkeypatch.setattr(retention, "_batches", meanwhile)
        assert prune(A_MONTH) == Pruned()
        assert [event.status for event in run.events.all()] == [
            "enqueued",
            "running",
            "errored",
            "enqueued",
        ]
        assert kept(folder) == ["items.csv"]
        assert run.lease.run == run

    @pytest.mark.django_db(transaction=True)
    def test_of_who_resumes_and_who_prunes_one_wins_and_leaves_a_whole_run_or_none(
        self,
    ) -> None:
        for _round in range(30):
            Run.objects.all().delete()
            run = run_in(Status.ERRORED, CountUp)
            age(run)
            outcomes = raced(lambda: prune(A_MONTH), Run.objects.get(pk=run.pk).resume)
            assert set(outcomes) <= {"", "InvalidTransition", "DoesNotExist"}
            if Run.objects.filter(pk=run.pk, status=Status.ENQUEUED).exists():
                assert outcomes == ["", ""]
                assert (run.events.count(), run.lease.run) == (4, run)
            else:
                assert not Run.objects.exists()
                assert not Event.objects.exists()
                assert not Lease.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_of_who_retries_and_who_prunes_one_wins_and_leaves_all_or_nothing(
        self,
    ) -> None:
        for _round in range(30):
            Run.objects.all().delete()
            run = old()
            run.dead_letters.create(item="1")
            outcomes = raced(lambda: prune(A_MONTH), run.dead_letters.retry)
            assert set(outcomes) <= {"", "NoOpenLetters"}
            if run.children.exists():
                assert outcomes == ["", ""]
                assert run.dead_letters.get().retried_by == run.children.get()
            else:
                assert not Run.objects.exists()
                assert not DeadLetter.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_several_who_prune_do_no_harm(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "LOOKED_AT_AT_ONCE", 5)
        for _ in range(30):
            old()
        young = run_in(Status.SUCCEEDED, Numbers)
        found: list[Pruned] = []
        assert raced(*[lambda: found.append(prune(A_MONTH))] * 3) == [""] * 3
        prune(A_MONTH)  # What one was about to delete, another has passed over.
        assert Run.objects.get() == young
        assert sum(each.runs for each in found) <= 30


def many(number: int) -> None:
    """Make so many runs, each with a lease and two lines of its story."""
    then = timezone.now() - timedelta(days=31)
    ended = {"status": Status.SUCCEEDED, "created_at": then, "ended_at": then}
    runs = [Run(task="testapp.Numbers", **ended) for _ in range(number)]
    Run.objects.bulk_create(runs, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO upkeep_lease (run_id, token)"
            " SELECT id, lease_token FROM upkeep_run"
        )
        for _line in range(2):
            cursor.execute(
                "INSERT INTO upkeep_event"
                " (run_id, kind, status, text, actor, created_at)"
                " SELECT id, 'log', '', '', '', created_at FROM upkeep_run"
            )


@pytest.mark.django_db
class TestMany:
    @pytest.fixture(autouse=True)
    def no_gaps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Leave SQLite to others for no time; nobody is there."""
        monkeypatch.setattr(databases, "gap_after", lambda spent: timedelta(0))

    def test_cost_less_than_one_query_for_twenty(self) -> None:
        many(20_000)
        with questions() as asked:
            assert prune(A_MONTH) == Pruned(runs=20_000, events=40_000)
        assert not Run.objects.exists()
        print(f"{len(asked)} queries")
        assert len(asked) <= 1_000

    def test_take_no_more_memory_than_some(self) -> None:
        many(4_000)
        tracemalloc.start()
        try:
            prune(A_MONTH)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert not Run.objects.exists()
        print(f"at most {peak / 1e6:.1f} MB")
        assert peak < 5e6


@pytest.mark.django_db
class TestWatcher:
    def test_prunes_where_the_settings_say_how_long_to_keep(
        self, settings: Settings
    ) -> None:
        old()
        assert sweep().runs == 0
        settings.UPKEEP = {"RETENTION": A_MONTH}
        assert sweep(prune=False).runs == 0
        assert sweep().runs == 1
        assert not Run.objects.exists()

    def test_takes_some_at_a_time(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.UPKEEP = {"RETENTION": A_MONTH}
        monkeypatch.setattr(recovery, "PRUNE_RUNS", 2)
        monkeypatch.setattr(retention, "LOOKED_AT_AT_ONCE", 2)
        for _ in range(5):
            old()
        assert [sweep().runs for _ in range(4)] == [2, 2, 1, 0]
