"""
A run of a large CSV file with newlines in its values, in a process of its own.

`python -m tests.large FOLDER MEGABYTES` writes the file there, works it off, goes on
near its end once more, and prints what that took as JSON.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import django

from upkeep.tasks.uploads import LocalFile

ROOT = Path(__file__).parent.parent

# About 100 bytes and 3 lines.
ROW = '{number},"A title, ""quoted"",\nof two lines","{text}\n"\n'
TEXT = "and a text that is some sixty letters long, é and ü among it"
FROM_THE_END = 100  # rows


def measured(folder: Path, megabytes: int) -> dict[str, Any]:
    """Return what a child process found out."""
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "large.sqlite3"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.large", str(folder), str(megabytes)],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "UPKEEP_TEST_DATABASE": json.dumps(database),
        },
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# In the child


def main(folder: str, megabytes: str) -> None:
    """Measure, and print what was found."""
    prepare(Path(folder))
    path = Path(folder) / "large.csv"
    rows, cursor = write(path, int(megabytes) * 1_000_000)
    print(
        json.dumps(
            {"megabytes": int(megabytes), **run(path, rows), **resume(path, cursor)}
        )
    )


def prepare(folder: Path) -> None:
    """Make the tables, and have a place for the file."""
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    settings.BASE_DIR = folder
    call_command("migrate", verbosity=0)


def write(path: Path, size: int) -> tuple[int, dict[str, Any]]:
    """Write the file; return the number of rows, and a cursor near the end."""
    row = ROW.format(number=f"{1:09}", text=TEXT).encode()
    rows = size // len(row)
    header = b"number,title,text\n"
    with path.open("wb") as file:
        file.write(header)
        for number in range(rows):
            file.write(ROW.format(number=f"{number:09}", text=TEXT).encode())
    before = rows - FROM_THE_END
    place = {"offset": len(header) + before * len(row), "line": 1 + before * 3}
    return rows, {"kind": "csv", **place}


def run(path: Path, rows: int) -> dict[str, Any]:
    """Work the file off, and say how long it took and how much memory more."""
    from upkeep import Task
    from upkeep.forms import CSVField

    class Add(Task):
        """Add the numbers up, to see that each row was there."""

        app_label = "testapp"
        __module__, __qualname__ = "tests.testapp.maintenance", "Add"
        csv_file = CSVField()
        total = 0

        def collection(self) -> Any:
            return self.csv_file

        def process(self, row: dict[str, str]) -> None:
            Add.total += int(row["number"])

    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Forget the peak until now.
    begun = time.perf_counter()
    done = Add.run_now(csv_file=path)
    seconds = time.perf_counter() - begun
    if (done.status, done.done, Add.total) != ("succeeded", rows, sum(range(rows))):
        raise RuntimeError(f"{done.status}, {done.done} rows: {done.error_message}")
    return {
        "rows": rows,
        "total": done.total,
        "seconds": round(seconds, 1),
        "grown_mb": round(memory("VmHWM") - before, 1),
    }


def resume(path: Path, cursor: dict[str, Any]) -> dict[str, Any]:
    """Go on near the end, and say how long that took and how much was read for it."""
    from upkeep.tasks.collections import collect
    from upkeep.tasks.collections.files import CSVFile

    collection = collect(CSVFile(CountedFile(path)), alias="default")
    begun = time.perf_counter()
    page = collection.page(cursor, 2 * FROM_THE_END)
    seconds = time.perf_counter() - begun
    collection.close()
    if len(page.items) != FROM_THE_END or not page.last:
        raise RuntimeError(f"{len(page.items)} rows were left.")
    return {"resumed_seconds": round(seconds, 4), "resumed_bytes": Counted.taken}


class Counted(io.FileIO):
    """A file that counts the bytes that are read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> Any:
        data = super().read(-1 if size is None else size)
        Counted.taken += len(data or b"")
        return data


class CountedFile(LocalFile):
    """A file on this machine that counts the bytes that are read of it."""

    def _open(self) -> IO[bytes]:
        return Counted(self.path)  # type: ignore[return-value,unused-ignore]


def memory(name: str) -> float:
    """Return megabytes that the system counts for this process."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])
