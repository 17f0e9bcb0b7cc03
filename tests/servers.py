"""
Servers for tests and benchmarks: each started for them alone, gone afterwards.

`sqlite()`, `postgresql()` and `mariadb()` yield an entry for `DATABASES`, `redis()` an
address. Every server lives in a folder of its own, on a free port of the loopback;
started by root it runs as nobody, since PostgreSQL and MariaDB refuse to be root.
`RESTARTABLE` yields the server beside the entry, for those who stop and start it.
One that is `forgetful` waits for no disk: it may lose all when the machine goes down.

As a pytest plugin (`-p tests.servers`) this module starts the database of `--database`
before Django reads its settings, and Redis when a test first asks for `redis_url`.
Nobody ends that database, so it is forgetful; who does, starts one of `RESTARTABLE`.
"""

import ctypes
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import pytest

DatabaseSettings = dict[str, Any]
Command = Sequence[str]

START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 30.0  # seconds

# Where Debian keeps servers that are not on everybody's PATH, newest version first.
FOLDERS = [
    *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
    Path("/usr/local/sbin"),
    Path("/usr/sbin"),
]

# What has a server wait for no disk. All that its clients can see stays as it is.
FORGETFUL = {
    "sqlite": ["PRAGMA synchronous=OFF"],
    "postgresql": [
        *("-c", "fsync=off", "-c", "full_page_writes=off"),
        *("-c", "synchronous_commit=off"),
    ],
    "mariadb": [
        *("--debug-no-sync", "--skip-sync-frm", "--skip-innodb-doublewrite"),
        *("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0"),
    ],
}


class ServerFailed(Exception):
    """A server is missing, or did not start; the message says which and why."""


# Databases


@contextmanager
def sqlite(*, forgetful: bool = False) -> Iterator[DatabaseSettings]:
    """Yield settings for a file that every process of the suite can open."""
    pragmas = ["PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"]
    pragmas += FORGETFUL["sqlite"] if forgetful else []
    with folder("sqlite") as home:
        yield {
            "ENGINE": "django.db.backends.sqlite3",
            "OPTIONS": {
                "init_command": "; ".join(pragmas),
                "timeout": 20,
            },
            **named(str(home / "upkeep.sqlite3")),
        }


@contextmanager
def postgresql(*, forgetful: bool = False) -> Iterator[DatabaseSettings]:
    """
    Run PostgreSQL and yield settings for a role that may create databases.

    The database itself is made by Django's test runner, here and in `mariadb()`. The
    role is no superuser, so that nothing passes here that a host would refuse.
    """
    with restartable_postgresql(forgetful=forgetful) as (settings, _):
        yield settings


@contextmanager
def restartable_postgresql(
    *, forgetful: bool = False
) -> Iterator[tuple[DatabaseSettings, "Server"]]:
    """Do the same, and yield the server as well; SIGQUIT lets it save nothing."""
    with folder("postgresql") as home:
        port, data = str(free_port()), str(home / "data")
        local = ["--host", str(home), "--port", port, "--username", "postgres"]
        initdb = [program("initdb", "postgresql"), "--pgdata", data]
        initdb += ["--username", "postgres", "--auth", "trust", "--no-sync"]
        initdb += ["--locale", "C.UTF-8", "--encoding", "UTF8"]
        server = [program("postgres", "postgresql"), "-D", data, "-p", port]
        server += ["-h", "127.0.0.1", "-k", str(home)]
        server += FORGETFUL["postgresql"] if forgetful else []
        ready = [program("pg_isready", "postgresql"), *local]
        createuser = [program("createuser", "postgresql"), *local, "--createdb"]

        call(initdb, home)
        with running(server, home, ready=ready, stop=signal.SIGINT) as started:
            call([*createuser, "upkeep"], home)
            yield database("postgresql", port), started


@contextmanager
def mariadb(*, forgetful: bool = False) -> Iterator[DatabaseSettings]:
    """Run MariaDB and yield settings for an account that owns databases `upkeep…`."""
    with restartable_mariadb(forgetful=forgetful) as (settings, _):
        yield settings


@contextmanager
def restartable_mariadb(
    *, forgetful: bool = False
) -> Iterator[tuple[DatabaseSettings, "Server"]]:
    """Do the same, and yield the server as well."""
    with folder("mariadb") as home:
        port = str(free_port())
        data = f"--datadir={home / 'data'}"
        accounts = home / "accounts.sql"
        accounts.write_text(
            # It is read at each start, and there is one account however many there are.
            "CREATE USER IF NOT EXISTS upkeep@'127.0.0.1';\n"
            "GRANT ALL ON `upkeep%`.* TO upkeep@'127.0.0.1';\n"
        )
        install = [program("mariadb-install-db", "mariadb-server"), "--no-defaults"]
        install += [data, "--skip-test-db", "--auth-root-authentication-method=normal"]
        server = [program("mariadbd", "mariadb-server"), "--no-defaults", data]
        server += [f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve"]
        server += [f"--socket={home / 'socket'}", f"--pid-file={home / 'pid'}"]
        server += ["--character-set-server=utf8mb4", f"--init-file={accounts}"]
        server += FORGETFUL["mariadb"] if forgetful else []
        ready = [program("mariadb-admin", "mariadb-client"), "--no-defaults", "ping"]
        ready += ["--protocol=tcp", "--host=127.0.0.1", f"--port={port}"]

        call(install, home)
        with running(server, home, ready=ready) as started:
            yield database("mysql", port), started


@contextmanager
def redis() -> Iterator[str]:
    """Run Redis, which keeps everything in memory, and yield its address."""
    with folder("redis") as home:
        port = str(free_port())
        server = [program("redis-server", "redis-server"), "--port", port]
        server += ["--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
        ready = [program("redis-cli", "redis-tools"), "-p", port, "ping"]

        with running(server, home, ready=ready):
            yield f"redis://127.0.0.1:{port}/0"


DATABASES = {"sqlite": sqlite, "postgresql": postgresql, "mariadb": mariadb}

RESTARTABLE = {"postgresql": restartable_postgresql, "mariadb": restartable_mariadb}


def database(backend: str, port: str) -> DatabaseSettings:
    return {
        "ENGINE": f"django.db.backends.{backend}",
        "HOST": "127.0.0.1",
        "PORT": port,
        "USER": "upkeep",
        **named("upkeep"),
    }


def named(name: str) -> DatabaseSettings:
    """
    Name a database, the same with and without Django's test runner.

    Workers that a test starts know nothing of a test runner, and yet they must open
    the database that it made.
    """
    return {"NAME": name, "TEST": {"NAME": name}}


# Processes


def program(name: str, package: str) -> str:
    """Return the path of a program, or say which package of Debian brings it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, FOLDERS)])
    if found := shutil.which(name, path=path):
        return found
    raise ServerFailed(
        f"{name} is not installed. On Debian and Ubuntu: "
        f"apt-get install --no-install-recommends {package}"
    )


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """
    Make a folder for a server, and remove it with all that is in it.

    It lies directly under the temp folder: the path of a socket has at most 107
    bytes, and pytest's own folders are closed to the account that the server has.
    """
    path = Path(tempfile.mkdtemp(prefix=f"upkeep-{name}-"))
    owner = os.getpid()
    try:
        if account := unprivileged():
            os.chown(path, -1, account["group"])
            path.chmod(0o770)
        yield path
    finally:
        if os.getpid() == owner:
            shutil.rmtree(path, ignore_errors=True)


@dataclass
class Server:
    """A program that answers on a port, and can be ended and started there again."""

    command: Command
    home: Path
    ready: Command
    stop: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.home / "server.log"

    def start(self) -> None:
        """Start it, and wait until it answers. Raises ServerFailed."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, not for it
                preexec_fn=end_with_parent(self.stop),  # noqa: PLW1509 - no threads yet
                **unprivileged(),
            )
        wait_until_ready(self.process, self.ready, self.log)

    def end(self, number: signal.Signals | None = None) -> None:
        """End it by its own signal, or by another, and see it gone."""
        self.process.send_signal(number or self.stop)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(
    command: Command,
    home: Path,
    *,
    ready: Command,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[Server]:
    """Run a server until the block ends; inside the block it answers."""
    server = Server(command, home, ready, stop)
    owner = os.getpid()
    try:
        server.start()
        yield server
    finally:
        # A forked child that unwinds through here must leave the server alone.
        if os.getpid() == owner:
            server.end()


def wait_until_ready(
    server: subprocess.Popen[bytes], ready: Command, log: Path
) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while server.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.02)
    state = f"exit status {server.returncode}" if server.returncode else "no answer"
    raise ServerFailed(
        f"{server.args!r} did not start ({state}). Its log:\n"
        + log.read_text(errors="replace")
    )


def call(command: Command, home: Path) -> None:
    """Run a program of a server to its end."""
    done = subprocess.run(
        command,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **unprivileged(),
    )
    if done.returncode:
        raise ServerFailed(f"{command!r} failed:\n{done.stdout}")


def unprivileged() -> dict[str, Any]:
    """Return what makes Popen drop root, and nothing where there is none to drop."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def end_with_parent(stop: signal.Signals) -> Any:
    """Return what makes a child of this process stop even when we are killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG
    return lambda: prctl(set_parent_death_signal, int(stop))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# The plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=list(DATABASES),
        default="sqlite",
        help="The database to run the suite on; its server is started for it alone.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the database before pytest-django, in the same hook, reads settings."""
    chosen = early_config.known_args_namespace.database
    stack = ExitStack()
    early_config.add_cleanup(stack.close)
    stack.enter_context(unwinding_on_sigterm())
    try:
        settings = stack.enter_context(DATABASES[chosen](forgetful=True))
    except ServerFailed as error:
        raise pytest.UsageError(str(error)) from error
    stack.enter_context(
        mock.patch.dict(os.environ, UPKEEP_TEST_DATABASE=json.dumps(settings))
    )
    return (yield)


@contextmanager
def unwinding_on_sigterm() -> Iterator[None]:
    """Let a suite that is told to stop clean up behind itself, as after Ctrl-C."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.getoption('database')}"


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Return the address of a Redis of our own; tests.settings_rq reads it too."""
    with redis() as url, mock.patch.dict(os.environ, UPKEEP_TEST_REDIS=url):
        yield url
