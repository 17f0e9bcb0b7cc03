"""A database, a queue and a folder of their own, for those who come to grief there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django

from tests import servers
from tests.chaos.proxy import Proxy, proxied
from tests.servers import Server


@dataclass(kw_only=True)
class Arena:
    """Where a scenario is played."""

    database: str
    folder: Path
    lease: timedelta
    settings: dict[str, Any]
    server: Server | None
    proxy: Proxy | None

    @property
    def environment(self) -> dict[str, str]:
        """What workers find around them: they reach the database through the proxy."""
        port = {"PORT": str(self.proxy.port)} if self.proxy else {}
        return os.environ | {"UPKEEP_TEST_DATABASE": json.dumps(self.settings | port)}


@contextmanager
def arena(
    *, database: str, lease: float = 30, queue: str = "database"
) -> Iterator[Arena]:
    """
    Start the servers, make the tables, and set Django up in this process.

    This process talks with the database itself; workers are to be told from it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        settings, server = stack.enter_context(_started(database))
        proxy = stack.enter_context(proxied(int(settings["PORT"]))) if server else None
        os.environ.pop("UPKEEP_TEST_REDIS", None)  # That of the suite is none of ours.
        if queue == "rq":
            os.environ["UPKEEP_TEST_REDIS"] = stack.enter_context(servers.redis())
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
        os.environ["UPKEEP_CHAOS_FOLDER"] = str(folder)
        os.environ["UPKEEP_TEST_DATABASE"] = json.dumps(settings)
        os.environ["UPKEEP_TEST_LEASE"] = str(lease)
        make_tables()
        yield Arena(
            database=database,
            folder=folder,
            lease=timedelta(seconds=lease),
            settings=settings,
            server=server,
            proxy=proxy,
        )


@contextmanager
def _started(database: str) -> Iterator[tuple[dict[str, Any], Server | None]]:
    if start := servers.RESTARTABLE.get(database):
        with start() as (settings, server):
            yield settings, server
    else:
        with servers.DATABASES[database]() as settings:
            yield settings, None


def make_tables() -> None:
    """Make the database as Django's test runner does, with the same name."""
    from django.db import connection

    django.setup()
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
