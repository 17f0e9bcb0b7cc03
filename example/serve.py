"""
Show the pages: a web server, a worker, and some real rows to look at.

Run it with the Python of the project's environment: `python example/serve.py`.
"""

import secrets
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from demo import DemoFailed, log_in, say, started_worker, status_of
from demo import take_out_csv_files as take_out

USER = "upkeep"
FIRST_PORT = 8000


class Handler(WSGIRequestHandler):
    """Answers without a line for each request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        pass


class Server(ThreadedWSGIServer):
    """Serves as long as the worker is there."""

    worker: subprocess.Popen[bytes]

    def service_actions(self) -> None:
        if self.worker.poll() is not None:
            raise DemoFailed("the worker ended before its time.")


def main() -> int:
    """Serve until Ctrl-C; return the exit status."""
    return status_of(serve, "It", stopped=0)


def serve(data: Path) -> None:
    """Prepare what there is to see, and serve it until something ends it."""
    call_command("migrate", verbosity=0)
    fill(data)
    password = let_in()
    with listening() as server, started_worker(log_in(data)) as server.worker:
        say(f"\nhttp://127.0.0.1:{server.server_port}/upkeep/", style="bold")
        say(f"Log in as {USER} with the password {password}\n")
        say(f"There are CSV files to import in {data}.")
        say("A worker is there, too. Ctrl-C stops both.")
        server.serve_forever(poll_interval=0.1)


def fill(data: Path) -> None:
    """Import the two small files, unless there is something in the database."""
    # Models can be imported only now that Django is set up.
    from flights.maintenance import ImportAirlines, ImportAirports  # noqa: PLC0415
    from flights.models import Airline  # noqa: PLC0415

    if not Airline.objects.exists():
        take_out(data)
        ImportAirlines.run_now(csv_file=data / "airlines.csv")
        ImportAirports.run_now(csv_file=data / "airports.csv")


def let_in() -> str:
    """Make a superuser, or give the one there is a new password; return that."""
    from django.contrib.auth.models import User  # noqa: PLC0415

    password = secrets.token_urlsafe(9)
    user, _ = User.objects.get_or_create(
        username=USER, defaults={"is_staff": True, "is_superuser": True}
    )
    user.set_password(password)
    user.save()
    return password


def listening() -> Server:
    """Return a server on the first port that is free."""
    from project.wsgi import application  # noqa: PLC0415

    for port in count(FIRST_PORT):
        try:
            server = Server(("127.0.0.1", port), Handler)
        except OSError:  # Somebody else has it.
            continue
        server.set_app(StaticFilesHandler(application))
        return server
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
