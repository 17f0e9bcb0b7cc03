"""What holds for every test of the suite."""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from unittest import mock

import pytest
from django.db import connection
from hypothesis import settings
from pytest_django import DjangoDbBlocker

from tests import leftovers
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
    parser.addoption(
        "--without",
        metavar="PROTECTION",
        help="Take a protection of the engine away: see tests/without.py.",
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    name = config.getoption("--without")
    return [f"without: {name}"] if name else []


def pytest_sessionstart(session: pytest.Session) -> None:
    """Take a protection away, also of workers that are processes of their own."""
    if name := session.config.getoption("--without"):
        from tests import without  # It needs Django.

        stack = ExitStack()
        session.config.add_cleanup(stack.close)
        stack.enter_context(mock.patch.dict(os.environ, {without.VARIABLE: name}))
        stack.enter_context(without.taken_away(name))


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Clean up behind tests that commit in a quicker way than Django has."""
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            stack.enter_context(leftovers.removed())
        yield


@pytest.fixture(params=["read committed", "repeatable read", "serializable"])
def isolation(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """
    Have all connections of this process at each level of isolation in turn.

    A worker that is forked from it has them so, too.
    """
    name: str = request.param
    level: object = name
    if connection.vendor == "postgresql":
        import psycopg

        level = psycopg.IsolationLevel[name.upper().replace(" ", "_")]
    connection.close()
    connection.settings_dict["OPTIONS"]["isolation_level"] = level
    yield name
    connection.close()
    del connection.settings_dict["OPTIONS"]["isolation_level"]


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
