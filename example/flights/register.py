"""
The register: what airlines say became of flights that left and never arrived.

It belongs to others. It is a database that Django knows nothing of: whoever reads while
somebody writes is told "database is locked" at once, and while a sign hangs at its door
nobody is to ask.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from flights.models import DelayClass
from flights.rows import Row

KEY = ("time_hour", "carrier", "flight", "origin")


class NoWordError(ValueError):
    """The airline has not said what became of a flight."""


def outcome_of(row: Row) -> DelayClass:
    """Return what became of the flight of a row of flights.csv."""
    with opened() as register:
        found = register.execute(
            "SELECT outcome FROM answers WHERE (time_hour, carrier, flight, origin) "
            "= (?, ?, ?, ?)",
            [row[name] for name in KEY],
        ).fetchone()
    if found is None:
        raise NoWordError(
            f"{row['carrier']} has not said what became of its flight "
            f"{row['flight']} of {row['time_hour']}"
        )
    return DelayClass(found[0])


def write(answers: Iterable[tuple[Row, str]]) -> None:
    """Write down what became of flights; a later answer counts."""
    with opened() as register, register:
        register.executemany(
            "REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
            [(*(row[name] for name in KEY), outcome) for row, outcome in answers],
        )


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """Open the register, and wait for nobody: the task says what is to be waited."""
    with closing(sqlite3.connect(path(), timeout=0)) as register:
        register.execute(
            "CREATE TABLE IF NOT EXISTS answers (time_hour, carrier, flight, origin, "
            "outcome, PRIMARY KEY (time_hour, carrier, flight, origin))"
        )
        yield register


@contextmanager
def locked() -> Iterator[None]:
    """Keep all others out, as one does who writes for long."""
    with opened() as register, register:
        register.execute("BEGIN EXCLUSIVE")
        yield


def path() -> Path:
    """Return the file of the register."""
    return Path(settings.DATA_DIR) / "register.sqlite3"


# The sign at the door


def sign() -> Path:
    """Return the file that is the sign."""
    return Path(settings.DATA_DIR) / "register-is-closed.txt"


def close_for(length: timedelta) -> None:
    """Hang out a sign that says until when the register is closed."""
    sign().write_text(str(time.time() + length.total_seconds()))


def closed_for() -> timedelta | None:
    """Return for how long it is still closed; None while it is open."""
    if not sign().exists():
        return None
    left = float(sign().read_text()) - time.time()
    return timedelta(seconds=left) if left > 0 else None
