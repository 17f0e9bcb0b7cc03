"""
The engine without one of its protections: `make soak MUTATE=1` sees that tests notice.

`tests/without.py` takes them away. A run that nothing befalls must end well without any
of them, lest a test notice only that something is broken.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from tests.servers import DATABASES
from tools.steps import REPORTS, suite

ON_A_SERVER = tuple(name for name in DATABASES if name != "sqlite")

INTEGRATION = "tests/integration"
CLAIM = "tests/execution/test_claim.py"
FAILURES = "tests/execution/test_failures.py"
POLICIES = "tests/execution/test_policies.py"
TRAPS = "tests/execution/test_traps.py"
RECOVERY = "tests/dispatch/test_recovery.py"

WAKES = (
    f"{INTEGRATION}/test_freeze.py::"
    "test_one_that_wakes_when_it_has_just_looked_changes_nothing"
)
FREEZES = (
    f"{INTEGRATION}/test_freeze.py::"
    "test_one_that_freezes_amid_its_chunk_holds_nobody_up"
)
BETWEEN = (
    f"{INTEGRATION}/test_sqlite_neighbours.py::"
    "test_between_two_chunks_the_write_lock_is_free_for_a_moment"
)
UNDONE = (
    f"{POLICIES}::"
    "test_a_commit_that_did_not_happen_is_not_taken_for_that_of_another_item"
)
KILLED = (
    f"{INTEGRATION}/test_kill.py::test_who_is_killed_behind_a_commit_repeats_nothing"
)

CALM = [
    f"{INTEGRATION}/test_calm.py::test_a_run_that_nothing_befalls_ends_well",
    "tests/dispatch/test_enqueue.py::TestRunNow::test_comes_back_when_it_is_done",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A protection, what is done without it, and the tests that have to notice."""

    protection: str
    how: str
    checks: Sequence[str]
    databases: Sequence[str] = tuple(DATABASES)


MUTATIONS = [
    Mutation(
        protection="fence",
        how="a worker writes to the run, whoever holds it",
        checks=[
            f"{CLAIM}::TestFence",
            f"{CLAIM}::TestWorkerThatWakesUp",
            WAKES,
        ],
    ),
    Mutation(
        protection="stale messages",
        how="a worker claims a run by any message",
        checks=[f"{CLAIM}::TestTake", "tests/dispatch/test_messages.py::TestMessage"],
    ),
    Mutation(
        protection="active key",
        how="runs are written without it",
        checks=[
            "tests/runs/test_slots.py::TestOne",
            "tests/runs/test_slots.py::TestRace",
        ],
    ),
    Mutation(
        protection="new token",
        how="after an error the row is read, and the old token goes on",
        checks=[
            f"{CLAIM}::TestFence",
            f"{TRAPS}::test_a_commit_whose_answer_is_lost_is_not_repeated",
        ],
    ),
    Mutation(
        protection="fresh row",
        how="after an error a worker believes its memory",
        checks=[
            f"{TRAPS}::test_a_commit_whose_answer_is_lost_is_not_repeated",
            f"{TRAPS}::test_a_callback_that_raises_does_not_repeat_its_chunk",
        ],
    ),
    Mutation(
        protection="whose attempts",
        how="as many attempts in the row are those at whichever item failed",
        checks=[UNDONE],
    ),
    Mutation(
        protection="order of writes",
        how="the place is saved behind the commit of its chunk",
        checks=[
            f"{CLAIM}::TestWorkerThatWakesUp",
            KILLED,
        ],
    ),
    Mutation(
        protection="durable",
        how="transactions of the engine begin inside of others",
        checks=[f"{CLAIM}::TestTake", "tests/test_databases.py::TestTransactions"],
    ),
    Mutation(
        protection="savepoint",
        how="nothing shows that the transaction of items is gone",
        checks=[f"{FAILURES}::TestHidden"],
    ),
    Mutation(
        protection="hidden errors",
        how="nobody asks what went wrong inside the savepoint of a chunk",
        checks=[f"{FAILURES}::TestHidden"],
    ),
    Mutation(
        protection="noted errors",
        how="what process() swallows is not noted (the poison wrapper)",
        checks=[f"{TRAPS}::test_a_chunk_that_hides_a_database_error_is_done_again"],
        databases=["mariadb"],  # Elsewhere what follows the error fails, or is whole.
    ),
    Mutation(
        protection="eviction",
        how="frozen sessions are let be",
        checks=[FREEZES],
        databases=ON_A_SERVER,  # SQLite has no sessions that another could end.
    ),
    Mutation(
        protection="database clock",
        how="leases are reckoned by the clock of each machine",
        checks=[f"{INTEGRATION}/test_crowds.py::TestClocks"],
    ),
    Mutation(
        protection="pacemaker",
        how="a lease runs out while an item takes longer",
        checks=["tests/execution/test_pacemaker.py"],
    ),
    Mutation(
        protection="watcher",
        how="nobody sweeps beside the workers",
        checks=["tests/dispatch/test_supervisor.py::TestWatcher"],
        databases=["sqlite"],  # It is none of the database's doing.
    ),
    Mutation(
        protection="sweep of silent workers",
        how="runs whose lease ran out are passed over",
        checks=[f"{RECOVERY}::TestAbandonedRun"],
    ),
    Mutation(
        protection="sweep of lost messages",
        how="runs whose message is late are passed over",
        checks=[f"{RECOVERY}::TestLostMessage"],
    ),
    Mutation(
        protection="same token",
        how="a message that is sent again makes those before it stale",
        checks=[f"{RECOVERY}::TestLostMessage"],
    ),
    Mutation(
        protection="gap",
        how="nothing is left to others between two chunks",
        checks=[BETWEEN],
        databases=["sqlite"],  # The others have a lock for each row.
    ),
    Mutation(
        protection="immediate",
        how="a transaction gets the write lock when it comes to write",
        checks=["tests/test_databases.py::TestTransactions"],
        databases=["sqlite"],
    ),
]

# A test that waits for what does not come any more does so no longer than this.
PATIENCE = 240  # seconds


def measured(mutation: Mutation, database: str, _folder: Path) -> dict[str, Any]:
    """Run the checks without a protection; return which of them noticed."""
    passed, failed, seconds = outcome(
        f"without {mutation.protection} on {database}",
        database,
        f"--without={mutation.protection}",
        *CALM,
        *mutation.checks,
    )
    noticed = {test: why for test, why in failed.items() if test not in CALM}
    return {
        "protection": mutation.protection,
        "database": database,
        "seconds": seconds,
        "noticed_by": noticed,
        "unnoticed": int(not noticed),
        "broken": len(set(CALM) - passed),
    }


def checked(database: str, _folder: Path) -> dict[str, Any]:
    """Run all the checks with every protection: one that fails anyway tells nothing."""
    mutations = [each for each in MUTATIONS if database in each.databases]
    checks = dict.fromkeys(check for each in mutations for check in each.checks)
    passed, failed, seconds = outcome(
        f"nothing taken away on {database}", database, *CALM, *checks
    )
    return {
        "database": database,
        "seconds": seconds,
        "passed": len(passed),
        "failed": len(failed),
        "broken": len(set(CALM) - passed),
    }


def outcome(
    name: str, database: str, *options: str
) -> tuple[set[str], dict[str, str], int]:
    """Run tests; return those that passed, those that failed with why, and seconds."""
    begun = time.monotonic()
    # Migrations are what takes longest, and other tests know that they are right.
    quick = ["--no-migrations", "-o", f"faulthandler_timeout={PATIENCE}"]
    step = suite(name, sys.executable, database, *quick, *options)
    REPORTS.mkdir(parents=True, exist_ok=True)
    with (REPORTS / f"{name}.txt").open("w") as said:
        step.run(said)
    passed, failed = ends(step.report)
    return passed, failed, round(time.monotonic() - begun)


def ends(report: Path | None) -> tuple[set[str], dict[str, str]]:
    """Read from pytest's report which tests passed, and which failed and why."""
    passed, failed = set[str](), dict[str, str]()
    if report is None or not report.exists():
        return passed, failed
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        if case.find("skipped") is not None or case.find("error") is not None:
            continue
        if (failure := case.find("failure")) is None:
            passed.add(node(case))
        else:
            failed[node(case)] = failure.attrib["message"].split("\n")[0]
    return passed, failed


def node(case: ET.Element) -> str:
    """Return the test's name as pytest's command line has it."""
    _module, _, classes = case.attrib["classname"].partition(".Test")
    path = case.attrib["file"]
    return "::".join(
        [path, *([f"Test{classes}"] if classes else []), case.attrib["name"]]
    )


def story(found: dict[str, Any]) -> str:
    """Tell which tests noticed, and by what."""
    how = next(m.how for m in MUTATIONS if m.protection == found["protection"])
    noticed = [f"  {test}\n    {why}" for test, why in found["noticed_by"].items()]
    seconds = f"{found['seconds']} s"
    broken = ["  Even a run that nothing befalls fails."] * bool(found["broken"])
    return "\n".join([how, *(noticed or ["  Nobody noticed."]), *broken, seconds])


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Set out how many tests noticed that a protection was not there, and the first."""
    rows = [("protection", "database", "seconds", "noticed by", "")]
    for found in figures:
        number = str(len(found["noticed_by"]))
        name = next(iter(found["noticed_by"]), "NOBODY").rpartition("/")[2]
        seconds = str(found["seconds"])
        rows.append((found["protection"], found["database"], seconds, number, name))
    return "\n".join(
        f"{protection:24} {database:11} {seconds:>7} {number:>10}  {name}".rstrip()
        for protection, database, seconds, number, name in rows
    )
