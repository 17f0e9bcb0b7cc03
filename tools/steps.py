"""Steps of a longer run: each goes its way, and one table says how all of them went."""

import subprocess
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command to run in the project's folder."""

    name: str
    command: Sequence[str]
    report: Path | None = None  # where pytest writes what came of its tests

    def run(self, output: IO[str] | None = None) -> "Result":
        """Run the command to its end; what it prints is seen at once, or kept."""
        start = time.monotonic()
        if self.report:
            self.report.unlink(missing_ok=True)
        done = subprocess.run(
            self.command, cwd=ROOT, stdout=output, stderr=output, check=False
        )
        passed = done.returncode == 0
        return Result(
            name=self.name,
            passed=passed,
            seconds=time.monotonic() - start,
            tests=counts(self.report, passed=passed) if self.report else Counts(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many tests had which end."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a step."""

    name: str
    passed: bool
    seconds: float
    tests: Counts


def suite(name: str, python: str, database: str, *options: str) -> Step:
    """Return the step that runs the tests with a Python, on a database."""
    report = REPORTS / f"{name.replace(' ', '-')}.xml"
    command = [python, "-m", "pytest", "--quiet", f"--database={database}", *options]
    return Step(name=name, command=[*command, f"--junit-xml={report}"], report=report)


def counts(report: Path, *, passed: bool) -> Counts:
    """Read pytest's report; a suite that broke off counts as one failure more."""
    broken = Counts(failed=0 if passed else 1)
    if not report.exists():
        return broken
    root = ET.parse(report).getroot()  # noqa: S314 - pytest wrote it
    tests, failures, errors, skipped = (
        sum(int(each.attrib[key]) for each in root.iter("testsuite"))
        for key in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    found = Counts(passed=tests - failed - skipped, failed=failed, skipped=skipped)
    return found if failed else found + broken


def run(*stages: Sequence[Step], notes: Iterable[str] = ()) -> bool:
    """
    Run all steps, whatever comes of each, print how they went, say if all passed.

    The steps of a stage run side by side.
    """
    results = [result for stage in stages for result in run_stage(stage)]
    print("", table(results), *notes, "", sep="\n")
    print(sum((result.tests for result in results), Counts()), flush=True)
    return bool(results) and all(result.passed for result in results)


def run_stage(steps: Sequence[Step]) -> list[Result]:
    """Run a step, or some side by side."""
    print(f"\n==> {', '.join(step.name for step in steps)}", flush=True)
    if len(steps) == 1:
        return [step.run() for step in steps]
    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(run_apart, steps))


def run_apart(step: Step) -> Result:
    """Run a step whose output is printed when it is over, not among that of others."""
    with TemporaryFile("w+") as output:
        result = step.run(output)
        output.seek(0)
        print(f"\n==> {step.name}\n{output.read()}", flush=True)
    return result


def table(results: Sequence[Result]) -> str:
    """Set out results as lines of step, result and seconds, with the tests of each."""
    width = max(len(name) for name in ["step", *(each.name for each in results)])
    rows = [f"{'step':{width}}  result  seconds  tests"]
    for result in results:
        word = "passed" if result.passed else "FAILED"
        tests = "" if result.tests == Counts() else str(result.tests)
        rows.append(f"{result.name:{width}}  {word}  {result.seconds:7.1f}  {tests}")
    return "\n".join(row.rstrip() for row in rows)
