"""What holds for every test of the suite."""

import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.sweeping import still_pages

BY_DESIGN = "by design"

# How long an example takes says more of the machine's other work than of ours.
settings.register_profile("upkeep", deadline=None)
settings.load_profile("upkeep")

# A shell that starts the suite in the background has it ignore Ctrl-C, and all that the
# suite starts with it; some of these are tested for what they do about it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def nobody_sweeps_unasked() -> Iterator[None]:
    """Have a test find the runs and the queries of a page as it left them."""
    with still_pages():
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-point",
        action="store_true",
        help="Kill workers at every point, and freeze them at ten times as many.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    report = yield
    refuse_silent_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[
    None, pytest.CollectReport, pytest.CollectReport
]:
    report = yield
    refuse_silent_skip(report)
    return report


def refuse_silent_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Let a skipped test fail whose reason does not begin with "by design"."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = skip_reason(report)
    if not reason.startswith(BY_DESIGN):
        report.outcome = "failed"
        report.longrepr = (
            f"Skipped ({reason}): a skip needs a reason that starts with {BY_DESIGN!r}."
        )


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skip; pytest reports it as (path, line, "Skipped: …")."""
    *_, message = report.longrepr if isinstance(report.longrepr, tuple) else ("",)
    return str(message).removeprefix("Skipped: ")
