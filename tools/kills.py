"""Workers of every kind of run, killed at every point of their talk with a database."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tools.steps import suite

TESTS = "tests/integration/test_kill.py"

# At so many points a kind of run takes longer than a test that hangs.
PATIENCE = 1500  # seconds


def measured(database: str, _folder: Path) -> dict[str, float]:
    """Kill them, and return how often, and how often it did harm."""
    step = suite(
        f"every point on {database}",
        sys.executable,
        database,
        *("--every-point", "-o", f"faulthandler_timeout={PATIENCE}", TESTS),
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
    tried, bad, seconds = (
        [value for name, value in noted if name == wanted]
        for wanted in ("tried", "bad", "seconds")
    )
    longest = max(seconds, default=0)
    return {"kills": sum(tried), "bad": sum(bad), "longest_seconds": longest}
