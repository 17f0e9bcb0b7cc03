"""The sweep: nobody looks, and yet every run goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import chain, count, repeat
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks_db.models import DBTaskResult

from tests.dispatch.queue import down, lose_messages, messages
from tests.runs.stages import claim, run_in
from tests.testapp.maintenance import CountUp, Numbers
from tests.testapp.models import Effect
from upkeep import dispatch
from upkeep.conf import conf
from upkeep.databases import Now
from upkeep.dispatch import recovery
from upkeep.dispatch.messages import PATH
from upkeep.dispatch.recovery import Swept, interval, rescue, sweep, watch
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run
from upkeep.runs.status import Status

PATIENCE = 20.0  # seconds, for what takes a fraction of one

AN_HOUR = timedelta(hours=1)


def overdue(run: Run) -> Run:
    """Let the message of a run have been sent long ago."""
    Run.objects.filter(pk=run.pk).update(resend_at=Now() - timedelta(seconds=1))
    run.refresh_from_db()
    return run


def silent(run: Run) -> Run:
    """Let the worker of a run not have been heard of for long."""
    Run.objects.filter(pk=run.pk).update(lease_until=Now() - timedelta(seconds=1))
    run.refresh_from_db()
    return run


def advance(run_id: int, token: str) -> None:
    """Be the worker that reads a message."""
    import_string(PATH).call(run_id, token)


def resent_after(run: Run) -> timedelta:
    run.refresh_from_db()
    assert run.resend_at is not None
    return run.resend_at - timezone.now()


@pytest.mark.django_db
class TestLostMessage:
    def test_is_sent_again_with_the_same_token(self) -> None:
        run = overdue(CountUp.enqueue())
        lose_messages()
        assert sweep() == Swept(sent_again=1)
        assert messages() == [[run.pk, run.lease_token]]
        assert Run.objects.get(pk=run.pk).lease_token == run.lease_token

    def test_that_comes_late_is_heeded_and_the_one_sent_again_comes_for_nothing(
        self,
    ) -> None:
        """In a queue that is longer than the waits, no other ever comes in time."""
        run = overdue(Numbers.enqueue())
        (late,) = messages()
        lose_messages()
        sweep()
        advance(*late)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.SUCCEEDED, 7)
        for again in messages():
            advance(*again)
        assert Effect.objects.count() == 7

    def test_is_known_to_the_run_by_its_new_id(self) -> None:
        run = overdue(CountUp.enqueue())
        lose_messages()
        sweep()
        run.refresh_from_db()
        assert run.message_id == str(DBTaskResult.objects.get().pk)

    def test_that_a_killed_worker_took_with_it_is_sent_again(self) -> None:
        overdue(CountUp.enqueue())
        DBTaskResult.objects.update(status="RUNNING")
        assert sweep() == Swept(sent_again=1)

    def test_is_not_sent_again_before_its_time(self) -> None:
        CountUp.enqueue()
        lose_messages()
        assert sweep() == Swept()
        assert not messages()

    def test_is_not_sent_again_while_it_waits_in_a_long_queue(self) -> None:
        run = overdue(CountUp.enqueue())
        assert sweep() == Swept()
        assert len(messages()) == 1
        assert timedelta(0) < resent_after(run) <= conf.LEASE

    def test_is_sent_after_longer_and_longer_waits(self) -> None:
        run = CountUp.enqueue()
        waits = []
        for _ in range(10):
            waits.append(round(resent_after(run) / conf.LEASE))
            overdue(run)
            lose_messages()
            sweep()
        assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]

    def test_is_sent_soon_after_its_queue_was_down_for_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = CountUp.enqueue()
        lose_messages()
        with monkeypatch.context() as patch:
            patch.setattr(dispatch.messages, "_send", lambda run: None)
            for _ in range(5):
                overdue(run)
                sweep()
                assert resent_after(run) <= conf.LEASE * 2
        overdue(run)
        assert sweep() == Swept(sent_again=1)
        assert messages() == [[run.pk, run.lease_token]]

    def test_waits_little_again_once_a_worker_came(self) -> None:
        run = CountUp.enqueue()
        for _ in range(5):
            overdue(run)
            lose_messages()
            sweep()
        claim(run).let_go(reason="Its time was up.")
        assert resent_after(run) <= conf.LEASE

    def test_of_a_run_that_was_due_long_ago_is_not_sent_at_each_sweep(self) -> None:
        run = CountUp.enqueue()
        lose_messages()
        Run.objects.update(run_after=Now() - 24 * AN_HOUR)
        overdue(run)
        assert sweep() == Swept(sent_again=1)
        lose_messages()
        assert sweep() == Swept()

    def test_is_nothing_that_a_paused_run_waits_for(self) -> None:
        overdue(run_in(Status.PAUSED))
        assert sweep() == Swept()

    def test_of_a_run_that_should_have_been_worked_on_here_is_sent(self) -> None:
        """`run_now` sends none; if its process dies at once, the sweep does."""
        with (
            mock.patch("upkeep.dispatch.enqueue.execute", side_effect=SystemExit),
            pytest.raises(SystemExit),
        ):
            Numbers.using().run_now()
        assert not messages()
        overdue(Run.objects.get())
        assert sweep() == Swept(sent_again=1)

    def test_is_sent_once_by_two_who_sweep(self) -> None:
        run = overdue(CountUp.enqueue())
        lose_messages()
        late = Run.objects.get(pk=run.pk)
        sweep()
        assert recovery._send_again(late) is False
        assert len(messages()) == 1


@pytest.mark.django_db
class TestLongQueue:
    """Of many messages that are late each costs a look, and runs wait for none."""

    @pytest.fixture(autouse=True)
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a second pass between any two looks at a clock."""
        seconds = count()
        monkeypatch.setattr(recovery, "monotonic", lambda: next(seconds))
        monkeypatch.setattr(CountUp, "concurrency", None)

    def late(self, runs: int) -> None:
        for _ in range(runs):
            overdue(CountUp.enqueue())
        lose_messages()

    def test_is_seen_to_for_a_part_of_the_time_between_two_looks(self) -> None:
        self.late(runs=5)
        swept = rescue()
        assert 0 < swept.sent_again < 5
        assert swept.is_cut_short
        assert swept.sent_again * timedelta(seconds=1) < interval()

    def test_is_seen_to_in_the_end(self) -> None:
        self.late(runs=5)
        while rescue().is_cut_short:
            pass
        assert len(messages()) == 5

    def test_keeps_no_abandoned_run_waiting(self) -> None:
        self.late(runs=5)
        rescue()
        run = silent(run_in(Status.RUNNING))
        assert rescue().taken_over == 1
        assert Run.objects.get(pk=run.pk).status == Status.INTERRUPTED

    def test_is_seen_to_as_a_whole_where_somebody_looks_once(self) -> None:
        self.late(runs=5)
        assert sweep() == Swept(sent_again=5)

    def test_has_none_at_its_head_that_keep_others_from_being_helped(self) -> None:
        self.late(runs=20)
        Run.objects.update(backend="gone")
        self.late(runs=1)
        looks = [rescue().sent_again for _ in range(200)]
        assert sum(looks) == 1


@pytest.mark.django_db
class TestAbandonedRun:
    @pytest.mark.parametrize(
        ("status", "then"),
        [
            (Status.RUNNING, Status.INTERRUPTED),
            (Status.PAUSING, Status.PAUSED),
            (Status.CANCELLING, Status.CANCELLED),
        ],
    )
    def test_goes_where_a_person_or_nobody_wants_it(
        self, status: Status, then: Status
    ) -> None:
        run = silent(run_in(status))
        assert sweep() == Swept(taken_over=1)
        assert Run.objects.get(pk=run.pk).status == then

    def test_is_told_to_have_been_found_by_the_sweep(self) -> None:
        run = silent(run_in(Status.RUNNING))
        sweep()
        event = run.events.latest("pk")
        assert (event.status, event.source) == ("interrupted", "sweep")

    def test_says_who_fell_silent(self) -> None:
        run = silent(run_in(Status.RUNNING))
        sweep()
        reason = Run.objects.get(pk=run.pk).reason
        assert reason == f"Its worker {run.worker} fell silent; the next one goes on."

    def test_calls_the_next_worker(self) -> None:
        run = silent(run_in(Status.RUNNING))
        lose_messages()
        sweep()
        run.refresh_from_db()
        assert messages() == [[run.pk, run.lease_token]]

    def test_that_is_to_stop_calls_nobody(self) -> None:
        silent(run_in(Status.PAUSING))
        lose_messages()
        sweep()
        assert not messages()

    def test_lets_its_old_worker_write_no_more(self) -> None:
        run = CountUp.enqueue()
        worker = claim(run)
        silent(run)
        sweep()
        with pytest.raises(Exception, match="was taken over by another worker"):
            worker.write(done=3)

    def test_whose_pacemaker_beats_is_not_abandoned(self) -> None:
        run = silent(run_in(Status.RUNNING))
        Lease.objects.filter(run=run).update(until=Now() + AN_HOUR)
        assert sweep() == Swept()

    @pytest.mark.django_db(transaction=True)
    def test_has_its_hook_called_when_no_other_is_left_waiting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hook may take its time."""
        left: list[int] = []

        def after_interrupt(self: Numbers) -> None:
            left.append(Run.objects.abandoned().count())

        monkeypatch.setattr(Numbers, "after_interrupt", after_interrupt)
        for _ in range(2):
            silent(run_in(Status.RUNNING))
        assert sweep() == Swept(taken_over=2)
        assert left == [0, 0]

    def test_that_was_heard_of_after_all_is_left_alone(self) -> None:
        run = silent(run_in(Status.RUNNING))
        Run.objects.update(lease_until=Now() + AN_HOUR)
        assert recovery._take_over(run, moves=[]) is False
        assert Run.objects.get(pk=run.pk).status == Status.RUNNING

    def test_whose_class_is_gone_is_mended_too(self) -> None:
        run = silent(run_in(Status.RUNNING))
        Run.objects.update(task="testapp.Gone")
        assert sweep() == Swept(taken_over=1)
        assert Run.objects.get(pk=run.pk).status == Status.INTERRUPTED


@pytest.mark.django_db
class TestTrouble:
    """What is wrong with one run, or with one queue, keeps no other waiting."""

    def test_of_a_run_whose_backend_is_gone(self) -> None:
        bad, good = (overdue(Numbers.enqueue()) for _ in range(2))
        lose_messages()
        Run.objects.filter(pk=bad.pk).update(backend="gone")
        assert sweep() == Swept(sent_again=1)
        assert messages() == [[good.pk, good.lease_token]]

    def test_of_a_run_that_cannot_be_taken_over(self) -> None:
        bad, good = (silent(run_in(Status.RUNNING)) for _ in range(2))
        Run.objects.filter(pk=bad.pk).update(backend="gone")
        assert sweep() == Swept(taken_over=1)
        assert Run.objects.get(pk=good.pk).status == Status.INTERRUPTED

    def test_of_a_queue_that_is_down(self) -> None:
        overdue(Numbers.enqueue())
        held = silent(run_in(Status.PAUSING))
        with down(ConnectionRefusedError()):
            assert sweep() == Swept(taken_over=1)
        assert Run.objects.get(pk=held.pk).status == Status.PAUSED
        assert sweep() == Swept()  # The message was not lost.

    def test_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        run = overdue(Numbers.enqueue())
        with down(ConnectionRefusedError("no answer")):
            sweep()
        assert f"The sweep could not help {run}" in caplog.text
        assert "no answer" in caplog.text
        assert "Traceback" in caplog.text

    def test_is_told_in_a_line_where_it_passes(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        overdue(Numbers.enqueue())
        with down(OperationalError("database is locked")):
            sweep()
        assert "database is locked" in caplog.text
        assert "Traceback" not in caplog.text


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Have somebody hold the row of a run in a transaction that does not end."""
    is_locked, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor, transaction.atomic():
            cursor.execute(
                f"SELECT 1 FROM {Run._meta.db_table} WHERE id = %s FOR UPDATE", [run.pk]
            )
            is_locked.set()
            is_over.wait(10)  # Who waits longer for it fails, and does not hang.
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_locked.wait(10)
    try:
        yield
    finally:
        is_over.set()
        holder.join()


@pytest.mark.django_db(transaction=True)
class TestLockedRow:
    """Somebody froze while he held the row of a run: the others do not wait for him."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("by design: SQLite has one lock, for all that is written")
        monkeypatch.setattr(recovery, "LOCK_PATIENCE", timedelta(seconds=1))

    def test_of_a_run_whose_worker_is_silent(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bad, good = (silent(run_in(Status.RUNNING)) for _ in range(2))
        with locked(bad):
            assert sweep() == Swept(taken_over=1)
            assert Run.objects.get(pk=good.pk).status == Status.INTERRUPTED
            assert Run.objects.get(pk=bad.pk).status == Status.RUNNING
        assert f"The sweep could not help {bad}" in caplog.text
        assert sweep() == Swept(taken_over=1)

    def test_of_a_run_whose_message_is_lost(self) -> None:
        bad, good = (overdue(Numbers.enqueue()) for _ in range(2))
        lose_messages()
        with locked(bad):
            assert sweep() == Swept(sent_again=1)
            assert messages() == [[good.pk, good.lease_token]]

    def test_of_a_run_that_waits_its_turn(self) -> None:
        bad, good = (overdue(Numbers.enqueue()) for _ in range(2))
        with locked(bad):
            assert sweep() == Swept()
            good.refresh_from_db()
            assert resent_after(good) > timedelta(0)
            assert resent_after(bad) < timedelta(0)

    def test_patience_is_that_of_the_sweep_alone(self) -> None:
        def patience() -> object:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT current_setting('lock_timeout')"
                    if connection.vendor == "postgresql"
                    else "SELECT @@SESSION.innodb_lock_wait_timeout"
                )
                return cursor.fetchone()

        before = patience()
        silent(run_in(Status.RUNNING))
        assert sweep() == Swept(taken_over=1)
        assert patience() == before


@pytest.mark.django_db
class TestPrune:
    @pytest.mark.parametrize(
        ("age", "status", "path", "pruned"),
        [
            (2 * AN_HOUR, "SUCCESSFUL", "upkeep.dispatch.messages.advance", 1),
            (2 * AN_HOUR, "FAILED", "upkeep.dispatch.messages.advance", 1),
            (2 * AN_HOUR, "SUCCESSFUL", "upkeep.dispatch.calls.make_call", 1),
            (AN_HOUR / 2, "SUCCESSFUL", "upkeep.dispatch.messages.advance", 0),
            (2 * AN_HOUR, "RUNNING", "upkeep.dispatch.messages.advance", 0),
            (2 * AN_HOUR, "READY", "upkeep.dispatch.messages.advance", 0),
            (2 * AN_HOUR, "SUCCESSFUL", "shop.tasks.send_mail", 0),
        ],
    )
    def test_deletes_our_messages_that_are_over_for_an_hour(
        self, age: timedelta, status: str, path: str, pruned: int
    ) -> None:
        CountUp.enqueue()
        DBTaskResult.objects.update(
            status=status, task_path=path, finished_at=timezone.now() - age
        )
        assert sweep() == Swept(pruned=pruned)
        assert DBTaskResult.objects.count() == 1 - pruned


def test_what_was_swept_is_a_sentence() -> None:
    swept = Swept(
        taken_over=1, sent_again=2, pruned=3, files=4, runs=5, announced=6, calls=7
    )
    assert str(swept) == (
        "1 abandoned run taken over, 2 messages sent again, 3 old ones deleted, "
        "4 files without a run deleted, 5 runs past retention deleted, "
        "6 moves announced late, 7 calls of dead letters seen to"
    )


class TestInterval:
    @pytest.mark.parametrize(("lease", "seconds"), [(30, 10), (10, 5), (1, 0.5)])
    def test_is_ten_seconds_or_half_a_short_lease(
        self, settings: Any, lease: float, seconds: float
    ) -> None:
        settings.UPKEEP = {"LEASE": timedelta(seconds=lease)}
        assert interval() == timedelta(seconds=seconds)


class TestWatch:
    """The watcher looks again and again, whatever happens, until it is told to stop."""

    @pytest.fixture
    def at_once(self, settings: Any) -> None:
        settings.UPKEEP = {"LEASE": timedelta(seconds=0.02)}

    @pytest.mark.parametrize("job", ["_rescue_in_silence", "_tidy"])
    @pytest.mark.parametrize(
        "trouble", [OperationalError("away"), ConnectionRefusedError(), ValueError()]
    )
    @pytest.mark.usefixtures("at_once")
    def test_outlives_trouble(self, trouble: Exception, job: str) -> None:
        stop, looks = threading.Event(), iter([trouble, Swept(), "stop"])
        idle = {
            "_rescue_in_silence": mock.Mock(side_effect=Swept),
            "_tidy": mock.Mock(),
        }
        busy = mock.Mock(side_effect=partial(look, looks, stop))
        with mock.patch.multiple(recovery, **idle | {job: busy}):
            watch(stop)
        assert not list(looks)

    @pytest.mark.usefixtures("at_once")
    def test_looks_for_runs_while_a_hook_does_not_end(self) -> None:
        """Or a storage, or a mail server: nobody waits for what they are asked."""
        stop, is_over, begun = (threading.Event() for _ in range(3))
        seen = threading.Semaphore(0)

        def look_again() -> Swept:
            if begun.is_set():
                seen.release()
            return Swept()

        def hang(*_given: object, **_more: object) -> None:
            begun.set()
            is_over.wait(PATIENCE)

        with (
            mock.patch.object(recovery, "_rescue_in_silence", look_again),
            mock.patch.object(recovery, "_tidy", hang),
            watching(stop, is_over),
        ):
            assert all(seen.acquire(timeout=PATIENCE) for _ in range(3))

    def test_looks_again_at_once_where_a_long_queue_cut_it_short(self) -> None:
        stop = threading.Event()
        looks = iter([Swept(is_cut_short=True), Swept(is_cut_short=True), Swept()])
        waits = []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            return len(waits) == 4

        with (
            mock.patch.object(recovery, "_rescue_in_silence", side_effect=looks),
            mock.patch.object(recovery, "_tidy"),
            mock.patch.object(stop, "wait", wait),
        ):
            watch(stop)
        assert waits == [10, 0, 0, 10]

    @pytest.mark.usefixtures("at_once")
    def test_tells_of_runs_that_it_has_taken_over(self) -> None:
        stop, told = threading.Event(), list[str]()
        found = chain([Swept(moves=[mock.sentinel.move])], repeat(Swept()))

        def tell(move: Any) -> None:
            told.append(str(threading.current_thread().name))
            stop.set()

        with (
            mock.patch.object(recovery, "_rescue_in_silence", side_effect=found),
            mock.patch.object(recovery, "announce_on_commit", tell),
            mock.patch.object(recovery, "_tidy"),
        ):
            watch(stop)
        assert told == ["upkeep-housekeeper"]

    def test_stops_at_once_when_told(self) -> None:
        stop = threading.Event()
        stop.set()
        with mock.patch.object(
            recovery, "_rescue_in_silence", side_effect=AssertionError
        ):
            watch(stop)


@contextmanager
def watching(stop: threading.Event, is_over: threading.Event) -> Iterator[None]:
    """Have a watcher, until the block ends and with it what hangs."""
    watcher = threading.Thread(target=watch, args=[stop])
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        stop.set()
        watcher.join()


def look(
    looks: Iterator[Any], stop: threading.Event, *_swept: Swept, **_more: bool
) -> Swept:
    found = next(looks)
    if isinstance(found, Exception):
        raise found
    if found == "stop":
        stop.set()
    return Swept()
