"""Chromium, a server with the suite's database, and a worker that works on it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from playwright.sync_api import Browser, Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.browser import browsing
from tests.browser.states import ALL
from tests.management import commands

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium; for a module at a time, as its loop is in everybody's way."""
    if connection.vendor != "sqlite":
        pytest.skip("by design: pages are looked at once, not once for each database")
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def server(browser: Browser, live_server: LiveServer, settings: Settings) -> str:
    """Return the address of the pages."""
    for name, value in browsing.SETTINGS.items():
        setattr(settings, name, value)
    return live_server.url


@pytest.fixture
def worker(server: str) -> Iterator[subprocess.Popen[str]]:
    """Return `upkeep worker`, working on the database of the test."""
    process = commands.started(
        "worker", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    yield process
    commands.end(process)


@pytest.fixture
def ada(server: str) -> User:
    """Return somebody who may do all, and who can log in by the admin's page."""
    user = User.objects.create_user("ada", password="lovelace", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=ALL))
    return user


@pytest.fixture
def open_window(browser: Browser, server: str) -> Iterator[Open]:
    """Return what opens a window, which is closed with the test."""
    with ExitStack() as stack:

        def open_window(user: User | None = None, **options: Any) -> Page:
            window = browsing.window(browser, server, user, **options)
            return stack.enter_context(window)

        yield open_window
