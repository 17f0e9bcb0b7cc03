"""Who visits the pages, in which ways, and what a page says to a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import count
from typing import Any, Protocol

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import Run

SEE, START, STEER = "upkeep.view_run", "upkeep.run_task", "upkeep.control_run"
HANDLE = "upkeep.handle_deadletter"

PAGE: dict[str, str] = {}
JSON = {"Accept": "application/json"}
PART = {"HX-Request": "true"}
KINDS = {"page": PAGE, "json": JSON, "part": PART}

numbers = count(1)


class Answer(Protocol):
    """What a test wants of a response."""

    status_code: int
    content: bytes
    headers: Any

    def json(self) -> Any: ...


def user(*permissions: str, name: str = "") -> User:
    """Make a user with these permissions."""
    made = User.objects.create(username=name or f"visitor-{next(numbers)}")
    for permission in permissions:
        app, codename = permission.split(".")
        made.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return made


def visitor(*permissions: str, name: str = "", **options: Any) -> Client:
    """Log in somebody with these permissions."""
    return client_of(user(*permissions, name=name), **options)


def client_of(who: User, **options: Any) -> Client:
    """Log in this user."""
    client = Client(**options)
    client.force_login(who)
    return client


def in_zone_of_person(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Be a middleware that lets people choose their time zone, as many projects do."""

    def choose(request: Any) -> Any:
        with timezone.override(request.headers.get("X-Zone", "Europe/Berlin")):
            return answer(request)

    return choose


def to(name: str, *args: Any) -> str:
    """Return an address of ours."""
    return reverse(f"upkeep:{name}", args=args)


def address(name: str, run: Run) -> str:
    """Return an address by its name, for a run, its task or a dead letter of it."""
    match name.partition("-")[0]:
        case _ if name in {"task-list", "letter-list"}:
            return to(name)
        case "task":
            return to(name, run.task)
        case "letter" if Run.objects.filter(pk=run.pk).exists():
            return to(name, letter_of(run).pk)
        case "call":
            DeadLetter.objects.get_or_create(call=CALL, item="charge(1)")
            return to(name, CALL)
    return to(name, run.pk)


CALL = "tests.testapp.calls.charge"


def letter_of(run: Run) -> DeadLetter:
    """Return the dead letter of a run, which has one from now on."""
    Run.objects.filter(pk=run.pk).update(failed=1)
    letter, _ = run.dead_letters.get_or_create(item="item 1", error_class="x.Error")
    return letter


def text(answer: Any) -> str:
    """Return what the answer says, as text."""
    return str(answer.content.decode())


class Markup(HTMLParser):
    """The elements of a page, each with its attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def words(self) -> str:
        """All that can be read, in one line."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of the elements with that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute wherever it stands."""
        return [each[attribute] for _, each in self.elements if attribute in each]

    def named(self, name: str) -> list[dict[str, str]]:
        """Return the inputs of a form that have that name."""
        return [each for _, each in self.elements if each.get("name") == name]


def markup(answer: Any) -> Markup:
    """Return the page as a browser takes it apart."""
    return Markup(text(answer))


def inline(page: Markup) -> Iterator[str]:
    """Yield what a page does by itself, or fetches from elsewhere."""
    for tag, attributes in page.elements:
        if tag == "style" or (tag == "script" and not attributes.get("src")):
            yield f"<{tag}>"
        for name, value in attributes.items():
            if name == "style" or name.startswith("on"):
                yield f"{name}={value}"
            if value.strip().lower().startswith(("javascript:", "http:", "https:")):
                yield f"{name}={value}"
            if value.strip().startswith("//"):
                yield f"{name}={value}"
