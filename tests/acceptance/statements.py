"""
What one line of the map says.

The reference is maintenance_tasks for Rails, which Upkeep sets out to surpass. The map
has each behaviour that its users rely on, as a law in our own words, and where it
stands with us.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a law of the reference stands with us."""

    SHOWN = "shown"  # It holds, and tests show it.
    BETTER = "better"  # Ours does more or asks less; a page of the docs says so.
    DECIDED_OTHERWISE = "decided otherwise"  # Ours does another thing, on purpose.
    TO_COME = "still to come"  # It is not built yet.
    NO_COUNTERPART = "no counterpart"  # It is about the reference's own plumbing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A law of the reference, and what becomes of it here."""

    key: str
    """What the reference calls it."""
    law: str
    state: State
    tests: tuple[str, ...] = ()
    """What shows it, as `path::Class::test` below `tests/`."""
    ours: str = ""
    """How ours is better, what was decided, what is missing, or why it has no like."""
    heading: str = ""
    """Where the better behaviour stands in the docs, as `path#Heading`."""
    area: str = ""
    """To what the missing part belongs, in one word."""


def shown(key: str, law: str, *tests: str) -> Statement:
    """Return a law that holds here."""
    return Statement(key=key, law=law, state=State.SHOWN, tests=tests)


def better(
    key: str,
    law: str,
    *tests: str,
    ours: str,
    heading: str,
) -> Statement:
    """Return a law that we go beyond."""
    return Statement(
        key=key, law=law, state=State.BETTER, tests=tests, ours=ours, heading=heading
    )


def decided_otherwise(
    key: str,
    law: str,
    *tests: str,
    ours: str,
) -> Statement:
    """Return a law in place of which we have another one."""
    return Statement(
        key=key, law=law, state=State.DECIDED_OTHERWISE, tests=tests, ours=ours
    )


def to_come(
    key: str,
    law: str,
    *tests: str,
    area: str,
    missing: str,
) -> Statement:
    """Return a law that we do not keep yet; tests show what there is of it."""
    return Statement(
        key=key, law=law, state=State.TO_COME, tests=tests, area=area, ours=missing
    )


def no_counterpart(key: str, law: str, *, why: str) -> Statement:
    """Return a law that nobody could notice here."""
    return Statement(key=key, law=law, state=State.NO_COUNTERPART, ours=why)
