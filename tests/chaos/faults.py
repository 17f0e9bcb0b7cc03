"""What befalls workers, their database and their queue, by chance and yet by number."""

from __future__ import annotations

import heapq
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connections
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from tests.chaos.arena import Arena
from tests.chaos.machines import Machine, send
from tests.chaos.proxy import CommitFate
from tests.servers import Server
from upkeep.compat import TaskResultStatus
from upkeep.databases import home, through_deadlocks, writing

if TYPE_CHECKING:
    Message = DBTaskResult[Any, Any]

# By which a server of each kind ends as in a power failure.
POWER_FAILURES = {"postgresql": signal.SIGQUIT, "mariadb": signal.SIGKILL}

LONGEST_DOWN = 4.0  # seconds
LONGEST_FREEZE = 2.5  # leases
LONGEST_SILENCE = 3.0  # seconds
LONGEST_DELAY = 10.0  # seconds
LONGEST_WAIT = 2.0  # seconds, for a COMMIT


class Faults:
    """Whatever may happen, each kind with its name, and how often it has happened."""

    def __init__(
        self,
        arena: Arena,
        machines: list[Machine],
        chance: random.Random,
        *,
        only: str = "",
    ) -> None:
        self.arena = arena
        self.machines = machines
        self.chance = chance
        self.only = only
        self.happened: Counter[str] = Counter()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def kinds(self) -> dict[str, Callable[[], bool]]:
        """
        Return all that can happen here; each tells whether it has.

        `only` is what their names begin with.
        """
        kinds = {
            "worker killed": self.kill_worker,
            "worker frozen": self.freeze_worker,
            "supervisor killed": self.kill_supervisor,
            "told to stop": self.tell_to_stop,
            "message lost": self.lose_messages,
            "message doubled": self.double_messages,
            "message delayed": self.delay_messages,
        }
        if self.arena.server is not None:
            kinds |= {
                "database restarted": self.restart_database,
                "connections cut": self.cut_connections,
                "packets swallowed": self.swallow_packets,
                "COMMIT unsent": partial(self.meet_commit, CommitFate.UNSENT),
                "COMMIT unanswered": partial(self.meet_commit, CommitFate.UNANSWERED),
                "COMMIT late": partial(self.meet_commit, CommitFate.LATE),
            }
        return {name: kinds[name] for name in kinds if name.startswith(self.only)}

    def happen(self) -> None:
        """Let one of them happen, or another where it finds nothing to befall."""
        kinds = self.kinds()
        names = list(kinds)
        self.chance.shuffle(names)
        for name in names:
            with suppress(OperationalError):  # A frozen worker has SQLite to itself.
                if kinds[name]():
                    self.happened[name] += 1
                    return

    def see_to_the_rest(self, *, at_once: bool = False) -> None:
        """Wake who was to be frozen until now, and the like."""
        while self._later and (at_once or self._later[0][0] <= monotonic()):
            heapq.heappop(self._later)[2]()

    def _do_later(self, seconds: float, act: Callable[[], None]) -> None:
        entry = (monotonic() + seconds, next(self._order), act)
        heapq.heappush(self._later, entry)

    # Processes

    def _worker(self) -> int | None:
        pids = [pid for machine in self.machines for pid in machine.workers()]
        return self.chance.choice(pids) if pids else None

    def kill_worker(self) -> bool:
        """SIGKILL."""
        if pid := self._worker():
            send(pid, signal.SIGKILL)
        return pid is not None

    def freeze_worker(self) -> bool:
        """SIGSTOP, and SIGCONT before or behind the end of its lease."""
        if pid := self._worker():
            leases = self.chance.uniform(0.1, LONGEST_FREEZE)
            send(pid, signal.SIGSTOP)
            wake = partial(send, pid, signal.SIGCONT)
            self._do_later(leases * self.arena.lease.total_seconds(), wake)
        return pid is not None

    def kill_supervisor(self) -> bool:
        """SIGKILL, after which its workers are told to stop."""
        self.chance.choice(self.machines).signal(signal.SIGKILL)
        return True

    def tell_to_stop(self) -> bool:
        """SIGTERM, as at a deploy."""
        self.chance.choice(self.machines).signal(signal.SIGTERM)
        return True

    # The database, and the way to it

    @property
    def _server(self) -> Server:
        assert self.arena.server is not None
        return self.arena.server

    def restart_database(self) -> bool:
        """A power failure of the database, which is down for a while."""
        connections.close_all()
        self._server.end(POWER_FAILURES[self.arena.database])
        time.sleep(self.chance.uniform(0, LONGEST_DOWN))
        self._server.start()
        return True

    def cut_connections(self) -> bool:
        """A network that ends all connections."""
        assert self.arena.proxy is not None
        self.arena.proxy.cut()
        return True

    def swallow_packets(self) -> bool:
        """A network that lets packets vanish for a while."""
        assert self.arena.proxy is not None
        self.arena.proxy.swallow()
        silence = self.chance.uniform(0.1, LONGEST_SILENCE)
        self._do_later(silence, self.arena.proxy.spit_out)
        return True

    def meet_commit(self, fate: CommitFate) -> bool:
        """A connection that is lost around a COMMIT; False where nobody says one."""
        assert self.arena.proxy is not None
        self.arena.proxy.meet_next_commit(fate)
        return self.arena.proxy.has_met_one(within=LONGEST_WAIT)

    # The queue

    def lose_messages(self) -> bool:
        """Delete what waits in the queue."""
        return self._tamper(lambda message: message.delete())

    def double_messages(self) -> bool:
        """Send what waits in the queue a second time."""

        def double(message: Message) -> None:
            message.pk = DBTaskResult._meta.pk.get_default()
            message.save(force_insert=True)

        return self._tamper(double)

    def delay_messages(self) -> bool:
        """Let what waits in the queue wait longer."""

        def delay(message: Message) -> None:
            seconds = self.chance.uniform(1, LONGEST_DELAY)
            message.run_after = timezone.now() + timedelta(seconds=seconds)
            message.save(update_fields=["run_after"])

        return self._tamper(delay)

    def _tamper(self, act: Callable[[Message], object]) -> bool:
        def work() -> bool:
            with writing(home()):
                waiting = DBTaskResult.objects.filter(status=TaskResultStatus.READY)
                has = connections[home()].features.has_select_for_update_skip_locked
                messages = list(waiting.select_for_update(skip_locked=has))
                for message in messages:
                    act(message)
                return bool(messages)

        return through_deadlocks(home(), work)
