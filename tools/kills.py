"""Workers of every kind of run, killed or frozen at every point of their talk."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tools.steps import suite

IN = "tests/integration"
KILL = "test_each_effect_happens_once_wherever_the_worker_is_killed"
STRICT = "test_and_so_it_is_where_transactions_are_kept_apart_more_strictly"
WRITE = "test_each_row_is_written_once_wherever_the_worker_is_killed"
SETTLE = "test_each_letter_is_settled_once_wherever_the_worker_is_killed"
CALL = "test_a_wish_makes_one_call_at_most_wherever_the_worker_is_killed"
WAKE = "test_what_a_worker_that_wakes_says_of_items_that_fail_does_not_count"

# The kinds of runs by the names that they have in tests/integration/kinds.py.
KINDS = (
    "all go well",
    "all go well, not atomic",
    "some fail",
    "some fail, not atomic",
    "long waits and people",
    "long waits and people, not atomic",
    "batches with bad records",
    "batches with bad records, not atomic",
    "CSV, with a bad row",
    "a Job at its third attempt",
    "a Job at its third attempt, not atomic",
    "a Job in vain, after a long wait",
)

# By the name of what is done: the tests that do it.
KILLED = {
    **{kind: [f"{IN}/test_kill.py::{KILL}[{kind}]"] for kind in KINDS},
    "declared updates": [f"{IN}/test_kill_writes.py::{WRITE}[Number]"],
    "declared creates": [f"{IN}/test_kill_writes.py::{WRITE}[Note]"],
    "declared deletes": [f"{IN}/test_kill_writes.py::{WRITE}[Thin]"],
    "a retrial of dead letters": [f"{IN}/test_retrials.py::{SETTLE}"],
    "calls made again": [f"{IN}/test_kill_calls.py::{CALL}"],
}
ISOLATED = {
    f"{kind}, {level}": [f"{IN}/test_kill.py::{STRICT}[{kind}-{level}]"]
    for kind in ("all go well", "some fail")
    for level in ("repeatable read", "serializable")
}
FROZEN = {
    kind: [
        f"{IN}/test_freeze.py::{WAKE}[{kind}-{wake}]"
        for wake in ("wake_after", "wake_during")
    ]
    for kind in KINDS
    if kind != "all go well"  # which the suite freezes at as many points
}


def accidents(database: str) -> dict[str, dict[str, list[str]]]:
    """Return what befalls workers on a database, and the kinds of runs it befalls."""
    # SQLite has one level of isolation.
    isolated = {} if database == "sqlite" else ISOLATED
    return {
        "killed at every point": KILLED | isolated,
        "frozen at many points": FROZEN,
    }


# At so many points a kind of run takes longer than a test that hangs.
PATIENCE = 1500  # seconds


def measured(
    database: str, name: str, tests: list[str], _folder: Path
) -> dict[str, float]:
    """Bring workers to grief, and return how often, and how often it did harm."""
    step = suite(
        f"{name} on {database}",
        sys.executable,
        database,
        *("--every-point", "-o", f"faulthandler_timeout={PATIENCE}", *tests),
    )
    found: dict[str, float] = {"failed": step.run().tests.failed}
    if step.report and step.report.exists():
        found |= figures(step.report)
    return found


def figures(report: Path) -> dict[str, float]:
    """Read from pytest's report what the tests have recorded, all of them together."""
    root = ET.parse(report).getroot()  # noqa: S314 - pytest wrote it
    noted = [
        (each.attrib["name"], float(each.attrib["value"]))
        for each in root.iter("property")
    ]
    tried, points, bad, seconds = (
        sum(value for name, value in noted if name == wanted)
        for wanted in ("tried", "points", "bad", "seconds")
    )
    return {"tried": tried, "points": points, "bad": bad, "seconds": round(seconds)}
