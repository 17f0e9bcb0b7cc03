"""Chromium, and how a person's window on the pages is opened in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)

from tests.servers import program

WIDTHS = {390: 844, 1280: 900}
SCHEMES = ("light", "dark")

# Beside the suite's own: a host's page, and files that nobody has to remove.
SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": "tests.browser.urls",
    "STORAGES": {
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        },
        "upkeep": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    },
}

# No sandbox, for root has none; no errand of its own, for the pages have to be still.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """
    Start the system's Chromium, and end it with the block.

    Playwright has an event loop in this thread, in which Django would refuse to ask
    its database; nothing else is in that loop.
    """
    path = program("chromium", "chromium")
    with (
        mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


# What a policy forbids, for the console, where a test hears it.
TELL_OF_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event => console.error(
  `Refused by the policy: ${event.violatedDirective} ${event.blockedURI}`
));
"""


@contextmanager
def window(
    browser: Browser, server: str, user: User | None = None, **options: Any
) -> Iterator[Page]:
    """Open a window of its own, with somebody logged in."""
    context = browser.new_context(base_url=server, **options)
    context.add_init_script(TELL_OF_VIOLATIONS)
    try:
        if user:
            context.add_cookies([session_of(user, server)])
        yield context.new_page()
    finally:
        context.close()


def session_of(user: User, server: str) -> Any:
    """Log in without a page, and return the cookie."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": server}


def each_look(page: Page) -> Iterator[str]:
    """Show the page at each width, light and dark; yield a name for the look."""
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            yield f"{width}-{scheme}"


class Watch:
    """What a window says and asks for behind the back of the one who looks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.requests: list[Request] = []
        self.answers: list[Response] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", self._note_request)
        page.on("response", self._note_answer)

    def _note_request(self, request: Request) -> None:
        self.requests.append(request)

    def _note_answer(self, answer: Response) -> None:
        self.answers.append(answer)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.said.append(message.text)

    @property
    def hosts(self) -> set[str]:
        """The hosts that were asked for anything; data: has none."""
        hosts = {urlsplit(request.url).netloc for request in self.requests}
        return hosts - {""}

    @property
    def status(self) -> int:
        """How the server answered the last that the person did."""
        return [each.status for each in self.answers if is_deed(each.request)][-1]

    @property
    def polls(self) -> list[Request]:
        """The requests by which live parts ask for news."""
        return list(filter(is_poll, self.requests))

    def complaints(self, refused: int = 200) -> list[str]:
        """
        Return what the console says that it should not.

        Chromium itself logs each answer from 400 on. Where a refusal is what was to
        be seen, that line is no fault of the page; it is the only one allowed.
        """
        line = (
            f"Failed to load resource: the server responded with a status of {refused}"
        )
        return [each for each in self.said if not each.startswith(line)]


def is_deed(request: Request) -> bool:
    """Tell whether a person asked for it: a page, or a button that htmx presses."""
    return request.is_navigation_request() or request.method == "POST"


def is_poll(request: Request) -> bool:
    """Tell whether a live part asks for news."""
    return request.method == "GET" and request.headers.get("hx-request") == "true"
