"""Real servers and workers that are killed, stopped and cut off, some seconds each."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from tests import without
from tests.chaos.child import measured
from tests.chaos.proxy import CommitFate, Proxy, proxied, says_commit
from tests.integration.harness import wait_until
from tests.registering import registered
from tests.testapp.models import Effect, Item
from upkeep.execution.executor import execute
from upkeep.models import Run
from upkeep.runs.status import Status
from upkeep.tasks import registry

HARMLESS = {"lost": 0, "twice": 0, "miscounted": 0, "not_succeeded": 0}


def harm(found: dict[str, Any]) -> dict[str, int]:
    return {name: found[name] for name in HARMLESS}


@pytest.fixture
def seed() -> int:
    """Return a seed that the scenario prints, and that pytest-randomly repeats."""
    return random.randrange(1_000_000)


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="by design: SQLite has no server"
)
def test_runs_of_all_kinds_outlive_restarts_of_their_database(
    seed: int, database_name: str
) -> None:
    found = measured("restarts", database=database_name, seed=seed, count=3, lease=3)
    assert found["faults"] == 3
    assert harm(found) == HARMLESS


def test_a_worker_that_is_told_to_stop_does_so_behind_the_item_in_hand(
    seed: int, database_name: str
) -> None:
    lengths = [0.01, 0.2, 1]
    found = measured(
        "stops", database=database_name, seed=seed, count=3, lengths=lengths
    )
    assert (found["stops"], found["lost"], found["twice"]) == (3, 0, 0)
    assert found["without_reason"] == 0
    assert found["saved_after"] < 10


@pytest.mark.parametrize("queue", ["database", "rq"])
def test_a_run_whose_worker_was_killed_goes_on_within_its_lease_and_a_sweep(
    seed: int, database_name: str, queue: str
) -> None:
    lease = 2
    where = {"database": database_name, "queue": queue, "lease": lease}
    found = measured("takeovers", **where, seed=seed, count=2, at_once=2)
    assert (found["takeovers"], found["lost"]) == (2, 0)
    assert found["worst"] < lease + 15


def test_whatever_befalls_them_nothing_is_lost_and_nothing_done_twice(
    database_name: str,
) -> None:
    """A slice of what `make soak` plays for as long as one likes."""
    found = measured(
        "chaos", database=database_name, seed=25, faults=6, pause=0.5, lease=2
    )
    assert found["faults"] == 6
    assert found["runs"] >= 3
    assert harm(found) == HARMLESS


# That it can fail


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="by design: SQLite has no connections to cut"
)
def test_without_a_new_token_something_is_done_twice(
    database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(without.VARIABLE, "fresh row")
    where = {"database": database_name, "lease": 3}
    what = {"only": "COMMIT", "faults": 20, "pause": 0.7}
    assert measured("chaos", **where, **what, seed=5)["twice"] > 0


@pytest.fixture
def ledger(settings: Settings) -> Iterator[ModuleType]:
    """Have the tasks of the scenarios for the time of a test."""
    with registered():
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.chaos"]
        ledger = import_module("tests.chaos.ledger")
        for kind in ledger.KINDS:
            registry.register(kind)
        yield ledger


def lose(run: Run) -> None:
    Effect.objects.filter(item=2).delete()
    Item.objects.filter(pk=2).update(n=0)


def do_twice(run: Run) -> None:
    Effect.objects.create(item=2)
    Item.objects.filter(pk=2).update(n=2)


def tear(run: Run) -> None:
    Item.objects.filter(pk=2).update(n=2)


def miscount(run: Run) -> None:
    run.done += 1


def stop(run: Run) -> None:
    run.status = Status.ERRORED


@pytest.mark.parametrize(
    ("spoil", "figure"),
    [
        (lose, "lost"),
        (do_twice, "twice"),
        (tear, "miscounted"),
        (miscount, "miscounted"),
        (stop, "not_succeeded"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_an_audit_finds_what_is_wrong_and_nothing_else(
    ledger: ModuleType, spoil: Callable[[Run], None], figure: str
) -> None:
    plan = ledger.Plan(kind=ledger.Records, first=1, count=3, seconds=0)
    run = plan.enqueue()
    execute(run.pk, run.lease_token)
    run.refresh_from_db()
    before, after = ledger.Figures(), ledger.Figures()
    plan.audit(run, before)
    spoil(run)
    plan.audit(run, after)
    assert harm(vars(before)) == HARMLESS
    assert harm(vars(after)) == HARMLESS | {figure: 1}
    assert str(run) in after.stories[0]


# The proxy


class Echo:
    """A server that notes what it hears, and answers."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.heard: list[bytes] = []
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            Thread(target=self._answer, args=[client], daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(1000):
                self.heard.append(data)
                client.sendall(b"yes")


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.socket.shutdown(socket.SHUT_RDWR)
    echo.socket.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with proxied(echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        assert ask(client, b"hello") == b"yes"
        yield client


def ask(client: socket.socket, what: bytes) -> bytes:
    """Return the answer; nothing where the connection was cut."""
    try:
        client.sendall(what)
        return client.recv(1000)
    except ConnectionError:
        return b""


COMMIT = b"Q\0\0\0\x0bCOMMIT\0"


def test_a_proxy_cuts_connections(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut()
    assert ask(client, b"hello") == b""


def test_a_proxy_that_swallows_lets_nothing_through_and_cuts_in_the_end(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.swallow()
    client.sendall(b"are you there?")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1000)
    proxy.spit_out()
    assert ask(client, b"hello") == b""
    assert echo.heard == [b"hello"]


@pytest.mark.parametrize("fate", CommitFate)
def test_a_proxy_meets_a_commit(
    proxy: Proxy, client: socket.socket, echo: Echo, fate: CommitFate
) -> None:
    proxy.meet_next_commit(fate)
    assert ask(client, COMMIT) == b""
    assert proxy.has_met_one(within=10)
    if fate is CommitFate.UNSENT:
        assert echo.heard == [b"hello"]
    else:
        assert wait_until(lambda: echo.heard == [b"hello", COMMIT])


def test_a_proxy_says_when_nobody_commits(proxy: Proxy, client: socket.socket) -> None:
    proxy.meet_next_commit(CommitFate.UNSENT)
    assert not proxy.has_met_one(within=0.01)
    assert ask(client, COMMIT) == b"yes"


@pytest.mark.parametrize(
    ("data", "is_commit"),
    [
        (COMMIT, True),
        (b"\x07\0\0\0\x03COMMIT", True),
        (b"\x13\0\0\0\x03SET AUTOCOMMIT = 0", False),
        (b"\x0f\0\0\0\x03SET AUTOCOMMIT", False),
        (b"Q\0\0\0\x0dROLLBACK\0", False),
    ],
)
def test_a_proxy_knows_a_commit(data: bytes, is_commit: bool) -> None:
    assert says_commit(data) is is_commit
