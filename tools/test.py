"""All that has to pass, in one run: style, types, checks, and the suite everywhere."""

import sys
from pathlib import Path

from tests.servers import DATABASES
from tools import servers
from tools.steps import Step, run, suite

BIN = Path(sys.executable).parent
RUFF = str(BIN / "ruff")
MYPY = str(BIN / "mypy")
DJANGO = [sys.executable, "-W", "error", "-m", "django"]
EXAMPLE = [sys.executable, "-W", "error", "example/manage.py"]
CHECK = ["check", "--fail-level", "WARNING"]
MIGRATIONS = ["makemigrations", "--check", "--dry-run"]
SETTINGS = ["--settings", "tests.settings"]

IN_A_BROWSER = "tests/browser"

TESTS = [
    suite(
        f"tests on {name}",
        sys.executable,
        name,
        *("-m", "not alone", f"--ignore={IN_A_BROWSER}"),
    )
    for name in DATABASES
]
BROWSER = suite("tests in a browser", sys.executable, "sqlite", IN_A_BROWSER)
ALONE = suite("timed tests on sqlite", sys.executable, "sqlite", "-m", "alone")

STAGES = [
    [Step(name="format", command=[RUFF, "format", "--check"])],
    [Step(name="lint", command=[RUFF, "check"])],
    [Step(name="types", command=[MYPY])],
    [Step(name="checks", command=[*DJANGO, *CHECK, *SETTINGS])],
    [Step(name="checks of the example", command=[*EXAMPLE, *CHECK])],
    [Step(name="migrations", command=[*DJANGO, *MIGRATIONS, *SETTINGS])],
    [Step(name="migrations of the example", command=[*EXAMPLE, *MIGRATIONS])],
    [ALONE],
    # Side by side: much of their time they wait for leases to run out.
    [*TESTS, BROWSER],
]

if __name__ == "__main__":
    servers.provide()
    sys.exit(0 if run(*STAGES) else 1)
