"""The sweep: runs whose worker fell silent or whose message was lost go on again."""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TypeVar

from django.db import OperationalError, connections
from django.db.models import F, Q

from upkeep.compat import task_backends
from upkeep.conf import conf
from upkeep.databases import Now, evict, home, waiting_at_most, writing
from upkeep.dispatch import calls, messages
from upkeep.dispatch.brokers import broker
from upkeep.exceptions import TaskNotFound
from upkeep.execution.announcements import announce_what_is_left
from upkeep.execution.claim import let_go
from upkeep.runs import causes, retention, uploads
from upkeep.runs.events import Event
from upkeep.runs.models import Run, announce_on_commit
from upkeep.runs.querysets import abandoned
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.status import Status
from upkeep.runs.words import counted

logger = logging.getLogger("upkeep")

Subject = TypeVar("Subject")

SWEEP_EVERY = timedelta(seconds=10)
LOCK_PATIENCE = timedelta(seconds=2)
PRUNE_EVERY = 60  # sweeps
PRUNE_RUNS = 2_000  # at once, for meanwhile nobody looks for runs


@dataclass(slots=True)
class Swept:
    """What a sweep found to do."""

    taken_over: int = 0
    sent_again: int = 0
    pruned: int = 0
    files: int = 0
    runs: int = 0
    announced: int = 0
    calls: int = 0
    is_cut_short: bool = field(default=False, compare=False, repr=False)
    """More messages are late than there was time for."""

    moves: list[Event] = field(default_factory=list, compare=False, repr=False)
    """Of the runs that were taken over: nobody has been told of them yet."""

    def __str__(self) -> str:
        return (
            f"{counted(self.taken_over, 'abandoned run')} taken over, "
            f"{counted(self.sent_again, 'message')} sent again, "
            f"{counted(self.pruned, 'old one')} deleted, "
            f"{counted(self.files, 'file')} without a run deleted, "
            f"{counted(self.runs, 'run')} past retention deleted, "
            f"{counted(self.announced, 'move')} announced late, "
            f"{counted(self.calls, 'call of a dead letter', 'calls of dead letters')} "
            "seen to"
        )


def sweep(*, prune: bool = True) -> Swept:
    """
    Look once for runs that nobody advances, and see that somebody does.

    `prune` deletes old messages of ours as well, which costs the reading of them all,
    files that no run knows, and some of the runs past their retention.
    """
    swept = rescue(at_most=timedelta.max)
    _tidy(swept, prune=prune)
    return swept


def _tidy(swept: Swept, *, prune: bool) -> None:
    """Do what may take long, and what nobody waits for."""
    swept.announced = _guarded(_announce, "the moves that were not announced")
    for alias in task_backends.settings if prune else ():
        swept.pruned += _guarded(_prune, alias)
    if prune:
        swept.files = _guarded(_sweep_files, "the storage of files")
        swept.runs = _guarded(_prune_runs, "the runs past their retention")
        _guarded(_forget_causes, "the causes of dead letters")


def rescue(*, at_most: timedelta | None = None) -> Swept:
    """
    Look once for runs and calls that nobody advances: all of a sweep that is urgent.

    That is three queries by an index where there are none. What others owe is not told
    here, for hooks may take their time, and of the moves made here all at the end.
    `at_most` is how long it sees to messages and calls; by default a part of the time
    between two looks, lest runs whose worker died wait for those of a long queue.
    """
    swept = _rescue_in_silence(at_most)
    _tell(swept.moves)
    return swept


def _rescue_in_silence(at_most: timedelta | None = None) -> Swept:
    swept = Swept()
    for run in Run.objects.using(home()).abandoned():
        swept.taken_over += _guarded(partial(_take_over, moves=swept.moves), run)
    share = (at_most or interval() / 4) / 2
    for run in _while_time_is_left(swept, share, _unheard()):
        swept.sent_again += _guarded(_send_again, run)
    for letter in _while_time_is_left(swept, share, calls.due()):
        swept.calls += _guarded(calls.look_after, letter)
    return swept


def _unheard() -> Iterator[Run]:
    """Yield the runs whose message is late, each as it is when its turn comes."""
    runs = Run.objects.using(home()).unheard()
    late = list(runs.values_list("pk", flat=True))
    random.shuffle(late)  # Else those that nobody can help stood before all others.
    for pk in late:
        if run := runs.filter(pk=pk).first():
            yield run


def _while_time_is_left(
    swept: Swept, share: timedelta, subjects: Iterable[Subject]
) -> Iterator[Subject]:
    """Yield one after the other, the first in any case, as long as there is time."""
    until = monotonic() + share.total_seconds()
    for subject in subjects:
        yield subject
        if monotonic() > until:
            swept.is_cut_short = True
            return


def _guarded(mend: Callable[[Subject], int], subject: Subject) -> int:
    """Mend one thing; what is wrong with it must not keep the others waiting."""
    try:
        return mend(subject)
    except OperationalError as error:  # A lock, a restart: the next sweep comes soon.
        logger.warning("The sweep could not help %s: %s", subject, error)
        return 0
    except Exception:  # Whatever the queue of one run may raise when it is down.
        logger.exception("The sweep could not help %s", subject)
        return 0


def _tell(moves: list[Event]) -> None:
    """Tell of moves behind their commit, and forget them."""
    while moves:
        announce_on_commit(moves.pop(0))


def _take_over(run: Run, *, moves: list[Event]) -> bool:
    """Take a run from a worker whose lease is over, and end its session first."""
    _evict_holder(run)
    with _writing_impatiently(), moves_from(Source.SWEEP):
        taken = let_go(
            run,
            Status(run.status),
            fence=Q(lease_token=run.lease_token) & abandoned(),
            reason=f"Its worker {run.worker} fell silent; the next one goes on.",
            announce=moves.append,
            workers_lost=F("workers_lost") + 1,
        )
    if taken:
        logger.warning("%s was taken over: its worker fell silent.", run)
    return taken


def _send_again(run: Run) -> bool:
    """Send a message that was lost, or look again later if it only waits its turn."""
    if _waits_its_turn(run):
        rows = Run.objects.using(home()).filter(pk=run.pk, lease_token=run.lease_token)
        with _writing_impatiently():
            rows.update(resend_at=Now() + conf.LEASE)
        return False
    _evict_holder(run)
    with _writing_impatiently():
        return messages.send(run)


@contextmanager
def _writing_impatiently() -> Iterator[None]:
    """Write to a run that somebody may have locked; the others must not wait for it."""
    with writing(home()), waiting_at_most(home(), LOCK_PATIENCE):
        yield


def _waits_its_turn(run: Run) -> bool:
    """
    Tell whether a message waits in the queue for a worker that is free.

    One that was to come at a moment which is past may wait for a worker's clock that
    is behind the database's: it gets company that waits for no moment, once.
    """
    if run.run_after is not None and run.messages_sent == 1:
        return False
    return bool(run.message_id and broker(run.backend).holds(run.message_id))


def _announce(_moves: str) -> int:
    return announce_what_is_left()


def _prune(alias: str) -> int:
    return broker(alias).prune()


def _sweep_files(_storage: str) -> int:
    return uploads.sweep()


def _prune_runs(_runs: str) -> int:
    if conf.RETENTION is None:
        return 0
    return retention.prune(conf.RETENTION, at_most=PRUNE_RUNS).runs


def _forget_causes(_causes: str) -> int:
    return causes.forget_old_causes()


def _evict_holder(run: Run) -> None:
    """End the session of whoever froze while it held the run or was about to."""
    evict(home(), run.lease_token)
    with suppress(TaskNotFound):
        if database := run.task_class.database:
            evict(database, run.lease_token)


def interval() -> timedelta:
    """Return the time between two sweeps: a lease that ran out is found in time."""
    return min(SWEEP_EVERY, conf.LEASE / 2)


def watch(stop: threading.Event) -> None:
    """Sweep again and again until told to stop; a database away is waited for."""
    housekeeper, swept = Housekeeper(), Swept()
    while not stop.wait(0 if swept.is_cut_short else interval().total_seconds()):
        swept = Swept()
        with _outlived("look for runs"):
            swept = _rescue_in_silence()
            housekeeper.moves += swept.moves
        housekeeper.begin()
    housekeeper.join()


class Housekeeper:
    """
    Does in a thread beside the watcher what may take long, one round after the other.

    A hook or a storage that does not answer must not keep runs waiting.
    """

    def __init__(self) -> None:
        self.moves: list[Event] = []
        """Of runs that the watcher has taken over, for the next round."""

        self._rounds = itertools.count()
        self._thread = threading.Thread()

    def begin(self) -> None:
        """Begin a round, unless the last one is still under way."""
        if self._thread.is_alive():
            return
        moves, self.moves = self.moves, []
        self._thread = threading.Thread(
            target=self._do, args=[moves], name="upkeep-housekeeper", daemon=True
        )
        self._thread.start()

    def _do(self, moves: list[Event]) -> None:
        with _outlived("tidy up"):
            _tell(moves)
            _tidy(Swept(), prune=next(self._rounds) % PRUNE_EVERY == 0)

    def join(self) -> None:
        """Wait for the round that is under way."""
        if self._thread.is_alive():
            self._thread.join()


@contextmanager
def _outlived(verb: str) -> Iterator[None]:
    """Go on whatever goes wrong inside, and let go of the connections."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - without a watcher nobody looks
        logger.warning("The sweep could not %s: %r", verb, error)
    finally:
        connections.close_all()
