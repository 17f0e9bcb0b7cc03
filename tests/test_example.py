"""The example project: its tasks, and the count that checks them."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest
from django.db import connection

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="by design: the example has an SQLite file of its own, whatever the suite's",
)

EXAMPLE = Path(__file__).resolve().parent.parent / "example"

AIRLINES = """\
carrier,name
AA,American Airlines Inc.
B6,JetBlue Airways
"""
AIRPORTS = """\
faa,name,lat,lon
JFK,John F Kennedy Intl,40.639751,-73.778925
MIA,Miami Intl,25.79325,-80.290556
"""
PLANES = """\
tailnum,year,type,manufacturer,model,engines,seats
N10156,2004,Fixed wing multi engine,EMBRAER,EMB-145XR,2,55
N14228,NA,Fixed wing multi engine,BOEING,737-824,2,149
"""
# One flight of each class; the third goes to an airport, and the fifth in a plane,
# that the other files do not know; the last has no plane at all.
FLIGHTS = """\
time_hour,minute,carrier,flight,tailnum,origin,dest,dep_time,dep_delay,arr_delay,distance
2013-01-01T10:00:00Z,15,AA,1,N10156,JFK,MIA,513,-2,-1,1089
2013-01-01T10:00:00Z,29,AA,2,N10156,JFK,MIA,533,4,14,1089
2013-01-01T10:00:00Z,40,B6,3,N14228,JFK,SJU,542,2,59,1598
2013-01-01T10:00:00Z,45,B6,4,N14228,JFK,MIA,544,-1,60,1089
2013-01-01T11:00:00Z,0,AA,5,N668DN,JFK,MIA,554,-6,NA,1089
2013-01-01T11:00:00Z,0,AA,6,NA,JFK,MIA,NA,NA,NA,1089
"""


class Project:
    """The example, with its data in a folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def manage(self, *arguments: str, status: int = 0) -> str:
        """Run manage.py, expect that exit status, and return all that was said."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=EXAMPLE,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "project.settings",
                "FLIGHTS_DATA": str(self.data),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def import_csv(self, task: str, text: str, *, status: int = 0) -> str:
        """Run an import here and now."""
        self.file.write_text(text, encoding="utf-8")
        file = f"csv_file=@{self.file}"
        return self.manage("upkeep", "run", task, "-p", file, "--inline", status=status)

    def check(self, *, status: int = 0) -> str:
        """Compare the database with the file imported last."""
        return self.manage("check_flights", f"--csv={self.file}", status=status)

    @property
    def file(self) -> Path:
        """The CSV file in hand."""
        return self.data / "in-hand.csv"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import everything once, by the tasks, for all tests to begin with."""
    project = Project(tmp_path_factory.mktemp("imported"))
    project.manage("migrate", "--verbosity=0")
    project.import_csv("flights.ImportAirlines", AIRLINES)
    project.import_csv("flights.ImportAirports", AIRPORTS)
    project.import_csv("flights.ImportPlanes", PLANES)
    project.import_csv("flights.ImportFlights", FLIGHTS)
    return project.data


@pytest.fixture
def project(imported: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(imported, tmp_path / "data"))


def test_models_and_migrations_agree(project: Project) -> None:
    project.manage("check", "--fail-level=WARNING")
    project.manage("makemigrations", "--check", "--dry-run")


def test_the_count_agrees_if_and_only_if_all_is_right(project: Project) -> None:
    """Also for flights to airports, and in planes, that have no row in their files."""
    assert "not classified" in project.check(status=1)

    project.manage("upkeep", "run", "flights.ClassifyDelays", "--inline")
    assert "DIFFERENT" not in project.check()

    wrong = "Flight.objects.filter(number=3).update(delay_class='early')"
    project.manage("shell", "-c", wrong)
    assert "DIFFERENT" in project.check(status=1)


def test_the_small_imports_can_be_repeated(project: Project) -> None:
    project.import_csv("flights.ImportAirlines", AIRLINES)
    project.import_csv("flights.ImportAirports", AIRPORTS)
    project.import_csv("flights.ImportPlanes", PLANES)
    counts = "Airline.objects.count(), Airport.objects.count(), Plane.objects.count()"
    assert "(2, 3, 3)" in project.manage("shell", "-c", f"print(({counts}))")


def test_a_flight_cannot_be_imported_twice(project: Project) -> None:
    """So the demo would fail if a batch were ever worked on twice."""
    output = project.import_csv("flights.ImportFlights", FLIGHTS, status=1)
    assert "UNIQUE constraint failed" in output


def test_a_file_without_the_columns_is_refused(project: Project) -> None:
    output = project.import_csv("flights.ImportFlights", AIRPORTS, status=2)
    assert "time_hour" in output


class TestServe:
    """`make serve` shows the pages, and leaves nothing behind."""

    @pytest.fixture
    def server(self, project: Project) -> Iterator[subprocess.Popen[str]]:
        server = subprocess.Popen(
            [sys.executable, "serve.py"],
            cwd=EXAMPLE,
            env=os.environ | {"FLIGHTS_DATA": str(project.data)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        yield server
        server.terminate()
        server.communicate(timeout=40)

    @pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
    def test_stops_with_its_worker(
        self, server: subprocess.Popen[str], stop: signal.Signals
    ) -> None:
        told = self.words(server)
        children = self.children(server)
        assert children

        with urlopen(told["address"]) as page:  # noqa: S310 - the address of ours
            assert "Log in" in page.read().decode()
        with urlopen(urljoin(told["address"], "/static/upkeep/upkeep.css")) as file:  # noqa: S310
            assert file.headers["Content-Type"] == "text/css"

        server.send_signal(stop)
        if stop == signal.SIGTERM:  # It may come twice: of `make`, and of its group.
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=0.2)
            server.send_signal(stop)
        assert server.wait(timeout=40) == (0 if stop == signal.SIGINT else 143)
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
        with pytest.raises(URLError):
            urlopen(told["address"])  # noqa: S310

    def test_tells_how_to_log_in(
        self, server: subprocess.Popen[str], project: Project
    ) -> None:
        told = self.words(server)
        check = "from django.contrib.auth import authenticate; print(authenticate("
        check += f"username={told['user']!r}, password={told['password']!r}))"
        assert "upkeep" in project.manage("shell", "-c", check)

    def words(self, server: subprocess.Popen[str]) -> dict[str, str]:
        """Wait until it says where it is, and how to log in."""
        assert server.stdout
        text = ""
        while "Ctrl-C" not in text:
            line = server.stdout.readline()
            assert line, text
            text += line
        found = re.search(
            r"(?P<address>http://\S+)\s+Log in as (?P<user>\w+) with the password "
            r"(?P<password>\S+)",
            text,
        )
        assert found, text
        return found.groupdict()

    def children(self, server: subprocess.Popen[str]) -> set[int]:
        """Return the processes that the server has started, and they in their turn."""
        parents = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it ended while we looked
                parents[int(path.parent.name)] = int(
                    path.read_text().rpartition(")")[2].split()[1]
                )
        family = {server.pid}
        while more := {pid for pid, of in parents.items() if of in family} - family:
            family |= more
        return family - {server.pid}


def test_the_case_of_bad_rows_ends_with_none_left(tmp_path: Path) -> None:
    """Of the real flights only the first 5,000 here, and less than a minute."""
    case = subprocess.run(
        [sys.executable, "bad_rows.py", "--rows=5000", "--hold=20"],
        cwd=EXAMPLE,
        env=os.environ | {"FLIGHTS_DATA": str(tmp_path), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert case.returncode == 0, case.stdout
    for said in [
        "OperationalError: database is locked",
        "is tried again after 10 s. FileExistsError",
        "Throttled by register_is_closed",
        "✓ Rows quarantined: 5",
        "✓ Dead letters open: 0",
        "✓ Dead letters resolved: 5",
    ]:
        assert said in case.stdout
    assert "DIFFERENT" not in case.stdout
