"""The servers of the suite: alone, ordinary, and gone when the suite is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from tests import servers
from tests.servers import ServerFailed

FOR_EVER = ["sleep", "600"]
READ_AND_WRITE = """
import django

django.setup()
from django.contrib.auth.models import Group

print(Group.objects.get().name)
Group.objects.update(name="theirs")
"""


@pytest.mark.django_db(transaction=True)
def test_a_process_that_a_test_starts_has_the_same_database() -> None:
    Group.objects.create(name="ours")
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_WRITE],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "ours\n", done.stderr
    assert Group.objects.get().name == "theirs"


@pytest.mark.django_db
def test_the_account_of_the_suite_is_an_ordinary_one() -> None:
    """What needs a superuser would fail at a host's, so it has to fail here."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            assert cursor.fetchone() == (False,)
        elif connection.vendor == "mysql":
            cursor.execute(
                "SELECT privilege_type FROM information_schema.user_privileges"
            )
            assert cursor.fetchall() == (("USAGE",),)
        else:
            assert Path(connection.settings_dict["NAME"]).is_file()


def test_redis_answers(redis_url: str) -> None:
    port = redis_url.removeprefix("redis://127.0.0.1:").removesuffix("/0")
    ping = [servers.program("redis-cli", "redis-tools"), "-p", port, "ping"]
    assert subprocess.check_output(ping) == b"PONG\n"


class TestProgram:
    def test_missing_names_its_package(self) -> None:
        with pytest.raises(
            ServerFailed, match=r"no-such is not .* apt-get .* nothing$"
        ):
            servers.program("no-such", "nothing")


class TestRunning:
    @pytest.fixture
    def home(self) -> Iterator[Path]:
        with servers.folder("test") as home:
            yield home

    def test_ends_with_its_block(self, home: Path) -> None:
        with servers.running(FOR_EVER, home, ready=["true"]) as server:
            assert server.process.poll() is None
        assert server.process.returncode == -signal.SIGTERM

    def test_starts_again_after_it_was_killed(self, home: Path) -> None:
        with servers.running(FOR_EVER, home, ready=["true"]) as server:
            first = server.process
            server.end(signal.SIGKILL)
            server.start()
            assert first.returncode == -signal.SIGKILL
            assert server.process.poll() is None

    def test_shows_its_log_when_it_does_not_start(self, home: Path) -> None:
        command = ["sh", "-c", "echo no space left on device; exit 3"]
        with (
            pytest.raises(ServerFailed, match=r"(?s)exit status 3.*no space left"),
            servers.running(command, home, ready=["false"]),
        ):
            pass

    def test_outlives_a_forked_child_that_unwinds(self, home: Path) -> None:
        """Workers that tests fork leave the servers of the suite alone."""
        with ExitStack() as stack:
            running = servers.running(FOR_EVER, home, ready=["true"])
            server = stack.enter_context(running)
            child = os.fork()
            if child == 0:
                stack.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert server.process.poll() is None
