"""
Import 100,000 real flights of which 137 are bad, and see to these until none is left.

Run it with the Python of the project's environment: `python example/bad_rows.py`.
The rows and their defects are real; what the airlines answer is made up.
"""

import csv
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count, Max
from rich.table import Table

from demo import (
    DemoFailed,
    console,
    log_in,
    manage,
    prepare,
    relative,
    say,
    started_worker,
    status_of,
)

if TYPE_CHECKING:
    from upkeep.models import Run

Row = dict[str, str]
Worker = subprocess.Popen[bytes]

PATIENCE = 300  # seconds, for what takes a minute


def main() -> int:
    """Run the case; return its exit status."""
    arguments = parsed()
    case = partial(tell, rows=arguments.rows, minute=arguments.hold)
    return status_of(case, "The case")


def parsed() -> Namespace:
    """Read how much is to be imported, and how long the minute is."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, metavar="N")
    parser.add_argument(
        "--hold",
        type=lambda text: timedelta(seconds=float(text)),
        default=timedelta(minutes=1),
        metavar="SECONDS",
        help="for how long the throttle holds: a minute, which really passes",
    )
    return parser.parse_args()


def tell(data: Path, *, rows: int, minute: timedelta) -> None:
    """Do the whole work, and check each count on the way."""
    path = prepare_case(data, rows)
    lost = lost_flights(path)
    say(
        f"\nOf {rows:,} flights from 1 March 2013 on, {len(lost)} left and have no "
        "time of arrival, by the file alone."
    )
    with started_worker(log_in(data)) as worker:
        case = Case(path, lost, rows=rows, worker=worker)
        case.start_amid_troubles(minute)
        case.see_what_is_bad()
        case.mend_some()
        case.mend_the_rest_with_a_slip()
        case.mend_the_slip()
    manage("check_flights", f"--csv={relative(path)}")
    case.see_that_nothing_is_left()


# Data


def prepare_case(data: Path, rows: int) -> Path:
    """Begin with no flights, and with the first so many from 1 March on in a file."""
    from flights import register  # noqa: PLC0415 - Django is set up only now

    prepare(data)
    for leftover in (register.path(), register.sign()):
        leftover.unlink(missing_ok=True)
    manage("migrate", "--verbosity=0")
    for name in ("airlines", "airports", "planes"):
        file = f"csv_file=@{relative(data / f'{name}.csv')}"
        label = f"flights.Import{name.capitalize()}"
        manage("upkeep", "run", label, "-p", file, "--inline")
    path = data / "flights-from-march.csv"
    with (data / "flights.csv").open(encoding="utf-8") as source:
        header = next(source)
        march = dropwhile(lambda line: not line.startswith("2013,3,"), source)
        path.write_text("".join([header, *islice(march, rows)]), encoding="utf-8")
    return path


def lost_flights(path: Path) -> list[Row]:
    """Return the rows of flights that left and never arrived, by the file alone."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if row["dep_time"] != "NA" and row["arr_time"] == "NA"
        ]


# The case


class Case:
    """What somebody does on a day on which some rows are bad."""

    run: "Run"

    def __init__(
        self, path: Path, lost: list[Row], *, rows: int, worker: Worker
    ) -> None:
        self.path = path
        self.lost = lost
        self.rows = rows
        self.worker = worker

    # Troubles

    def start_amid_troubles(self, minute: timedelta) -> None:
        """Import while the register is locked, the storage gone, the register shut."""
        from flights import register  # noqa: PLC0415
        from upkeep.models import Run  # noqa: PLC0415

        claims = settings.DATA_DIR / "claims"
        unmount(claims)
        with register.locked():
            file = f"csv_file=@{relative(self.path)}"
            manage("upkeep", "run", "flights.ImportCheckedFlights", "-p", file)
            self.run = Run.objects.latest("pk")
            self.wait_until(lambda run: "locked" in run.reason)
            self.tell_why(
                "Somebody writes in the register, so the run waits longer and longer:"
            )
        self.wait_until(lambda run: "not a directory" in run.reason)
        self.tell_why(
            "The storage of the claims is gone, so it waits 10 seconds each time:"
        )
        mount(claims)
        self.hold(minute)
        self.wait_until(lambda run: not run.is_active)
        manage("upkeep", "status", str(self.run.pk))

    def hold(self, minute: timedelta) -> None:
        """Close the register, and pause and resume the run meanwhile."""
        from flights import register  # noqa: PLC0415

        register.close_for(minute)
        closed_at = time.monotonic()
        number = str(self.run.pk)
        manage("upkeep", "resume", number)
        self.wait_until(lambda run: run.throttled_by)
        self.tell_why("The register is closed, so a throttle holds:")
        manage("upkeep", "pause", number)
        self.wait_until(lambda run: run.status == "paused")
        manage("upkeep", "resume", number)
        self.wait_until(lambda run: run.throttled_by)
        self.tell_why("Resumed, and it waits for the same throttle:")
        self.wait_until(lambda run: not run.throttled_by)
        held = time.monotonic() - closed_at
        if held < minute.total_seconds():
            raise DemoFailed(f"the throttle let go after {held:.1f} s.")
        say(f"It goes on by itself after {held:.0f} s.")

    # Dead letters

    def see_what_is_bad(self) -> None:
        """Group the dead letters by their causes."""
        lost = len(self.lost)
        check("Rows quarantined", self.run.failed, lost)
        check("Rows imported", self.run.done, self.rows - lost)
        check("Dead letters open", self.run.dead_letters.open().count(), lost)
        self.show_causes()
        airlines = Counter(row["carrier"] for row in self.lost)
        check("Causes, one for each airline", len(self.causes()), len(airlines))

    def mend_some(self) -> None:
        """Have the airline with most of them answer, but for half of its flights."""
        ((airline, number),) = Counter(r["carrier"] for r in self.lost).most_common(1)
        theirs = [row for row in self.lost if row["carrier"] == airline]
        answered = theirs[: number // 2]
        say(f"\n{airline} answers for {len(answered)} of its {number} flights.")
        self.answer(answered)
        letters = self.run.dead_letters.filter(error_message__startswith=airline)
        self.retry(letters, f'.filter(error_message__startswith="{airline}")')
        check("Dead letters open", self.open, len(self.lost) - len(answered))
        self.lost = [row for row in self.lost if row not in answered]

    def mend_the_rest_with_a_slip(self) -> None:
        """Have all others answer, every tenth with a word that nobody knows."""
        slips = self.lost[::10]
        say(f"\nAll airlines answer, for {len(slips)} flights with a slip of the pen.")
        self.answer(self.lost)
        self.answer(slips, outcome="landed")
        self.retry(self.run.dead_letters.all())
        check("Dead letters open", self.open, len(slips))
        self.show_causes()
        check("Causes", len(self.causes()), 1)
        self.lost = slips

    def mend_the_slip(self) -> None:
        """Put the rest right."""
        say("\nThe slips are put right.")
        self.answer(self.lost)
        self.retry(self.run.dead_letters.all())
        check("Dead letters open", self.open, 0)

    def see_that_nothing_is_left(self) -> None:
        """Count all of it once more."""
        from flights.models import Flight  # noqa: PLC0415

        letters = self.run.dead_letters
        resolved = letters.filter(state="resolved").count()
        check("Dead letters resolved", resolved, self.run.failed)
        check("Flights in the database", Flight.objects.count(), self.rows)
        most = letters.aggregate(most=Max("attempts"))["most"]
        say(f"The row that was tried most often was tried {most} times.")

    @property
    def open(self) -> int:
        """How many dead letters nobody has seen to."""
        return self.run.dead_letters.open().count()

    def causes(self) -> list[Any]:
        """Return how many open letters each cause has, and what one of them says."""
        letters = self.run.dead_letters.open().order_by()
        causes = letters.values("fingerprint", "error_class")
        found = causes.annotate(times=Count("pk"), example=Max("error_message"))
        return list(found.order_by("-times", "example"))

    def show_causes(self) -> None:
        """Print what stands behind the open letters."""
        table = Table("letters", "error", "such as")
        for cause in self.causes():
            error = cause["error_class"].rpartition(".")[2]
            table.add_row(str(cause["times"]), error, cause["example"])
        console.print(table)

    def answer(self, rows: list[Row], outcome: str = "diverted") -> None:
        """Write into the register what became of flights."""
        from flights import register  # noqa: PLC0415

        register.write((row, outcome) for row in rows)

    def retry(self, letters: Any, narrowed: str = "") -> None:
        """Have the worker try the open ones of the letters, and wait for its end."""
        say(f'\n>>> run.dead_letters{narrowed}.retry(by="ada")', style="bold")
        wanted = letters.open().count()
        (retrial,) = letters.retry(by="ada")
        check("Dead letters retried", retrial.total, wanted)
        self.wait_until(lambda run: not run.is_active, retrial)
        say(
            f"Run {retrial.pk} has {retrial.status}: {retrial.done} resolved, "
            f"{retrial.failed} failed again."
        )

    # Looking

    def wait_until(
        self, comes_true: Callable[["Run"], object], run: "Run | None" = None
    ) -> None:
        """Wait for what must come, as long as the worker is there."""
        run = run or self.run
        deadline = time.monotonic() + PATIENCE
        while not comes_true(run):
            if self.worker.poll() is not None:
                raise DemoFailed("the worker ended before its time.")
            if not run.is_active or time.monotonic() > deadline:
                raise DemoFailed(f"{run} is {run.status}. {run.reason}")
            time.sleep(0.1)
            run.refresh_from_db()

    def tell_why(self, sentence: str) -> None:
        """Say what stands on the page of the run."""
        say(f"\n{sentence}\n  {self.run.status}: {self.run.reason}")


def unmount(folder: Path) -> None:
    """Have a storage fail: a file lies where its folder should be."""
    for file in folder.glob("*") if folder.is_dir() else ():
        file.unlink()
    if folder.is_dir():
        folder.rmdir()
    folder.touch()


def mount(folder: Path) -> None:
    """Put the folder back."""
    folder.unlink()
    folder.mkdir()


def check(what: str, found: object, wanted: object) -> None:
    """Compare a count with what it must be."""
    if found != wanted:
        raise DemoFailed(f"{what}: {found}, and it must be {wanted}.")
    number = f"{found:,}" if isinstance(found, int) else found
    say(f"✓ {what}: {number}", style="green")


if __name__ == "__main__":
    sys.exit(main())
