"""
README and the tutorial do what they say.

A reader types all of it, in a project of their own.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from time import monotonic, sleep
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import django
import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")

# The blocks that are not typed here, by their first line, and why.
NOT_TYPED = {
    "$ python manage.py upkeep run flights.ClassifyDelays --follow": (
        "it is from the output of the demo; the example has tests of its own"
    ),
}

OF_THE_PROJECT = ("settings.py", "urls.py")

POSTS = 10_000
PATIENCE = 60.0  # seconds, for what takes a few

# What the reader's project was before: here its rows are saved slowly at first, so
# that there is time to steer.
MODELS = """\
from pathlib import Path
from time import sleep

from django.db import models

SLOWLY = Path(__file__).with_name("slowly")


class Post(models.Model):
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200, blank=True)

    def save(self, **options):
        if SLOWLY.exists():
            sleep(0.002)
        super().save(**options)
"""
SUPERUSER = """\
from django.contrib.auth.models import User
User.objects.create_superuser("ada", "ada@example.com", "lovelace")
"""
POSTS_WITHOUT_SLUG = f"""\
from blog.models import Post
posts = [Post(title=f"Post number {{number}}") for number in range({POSTS})]
Post.objects.bulk_create(posts)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code in README."""

    language: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each command, and the lines that README shows below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, *answer = part.splitlines()
            yield command.partition("  #")[0], answer


FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[Block]:
    return [Block(language=each[1], text=each[2]) for each in FENCED.finditer(page)]


BLOCKS = blocks(README)


class Reader:
    """Somebody with a project of their own, who does what README says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slowly = folder / "blog" / "slowly"
        self.terminals: list[subprocess.Popen[bytes]] = []
        self.host = f"127.0.0.1:{free_port()}"

    # What was there before

    def make_project(self) -> None:
        """Have an app with a table full of rows."""
        self.type("python -m django startproject mysite .")
        self.type("python manage.py startapp blog")
        self.write("mysite/settings.py", 'INSTALLED_APPS += ["blog"]\n')
        self.write("blog/models.py", MODELS)
        self.type("python manage.py makemigrations blog")
        self.type("python manage.py migrate")
        self.shell(POSTS_WITHOUT_SLUG)
        self.shell(SUPERUSER)
        self.slowly.touch()

    # What README says

    def follow(self, block: Block) -> None:
        """Type a block: commands, a file whose name is its first line, or Python."""
        if block.language == "console":
            for command, answer in block.commands():
                self.give(command, answer)
        elif block.language == "csv":
            self.write("posts.csv", block.text)
        elif named := re.match(r"# (\S+\.py)\n", block.text):
            folder = "mysite/" if named[1] in OF_THE_PROJECT else ""
            self.write(folder + named[1], fit_for_this_django(block.text))
        else:
            self.shell(block.text)

    def give(self, command: str, answer: list[str]) -> None:
        """Give a command, and see that it says what README says that it does."""
        if command.endswith("upkeep worker"):
            self.open_terminal(command)
        elif command.endswith("runserver"):
            self.open_terminal(f"{command} --noreload {self.host}")
        elif " upkeep run " in command and "--inline" not in command:
            self.open_terminal(command)
            self.wait_until_under_way()
        else:
            fails = any(line.startswith("Failed:") for line in answer)
            said = self.type(command, status=int(fails)).splitlines()
            assert [line for line in answer if not is_in(said, line)] == [], said
        if " upkeep pause " in command:
            self.see_the_run_paused()

    # How it is done

    def write(self, path: str, text: str) -> None:
        """Add to a file, or replace one that `startapp` left empty."""
        file = self.folder / path
        before = file.read_text() if path.endswith(OF_THE_PROJECT) else ""
        file.write_text(before + text)

    def shell(self, code: str) -> None:
        self.type(f"python manage.py shell -c {shlex.quote(code)}")

    def type(self, command: str, *, status: int = 0) -> str:
        """Have a command end as it should, and return what it said."""
        done = subprocess.run(
            self.words(command),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == status, f"$ {command}\n{done.stdout}"
        return done.stdout

    def open_terminal(self, command: str) -> None:
        """Start what stays."""
        with (self.folder / f"terminal-{len(self.terminals)}.txt").open("wb") as log:
            terminal = subprocess.Popen(
                self.words(command),
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        self.terminals.append(terminal)

    def words(self, command: str) -> list[str]:
        first, *rest = shlex.split(command)
        assert first == "python", f"Nobody can type this here: {command}"
        return [sys.executable, *rest]

    def environment(self) -> dict[str, str]:
        """Return the environment without what belongs to the suite."""
        ours = ("DJANGO_", "UPKEEP_", "PYTHONPATH")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return kept | {"PYTHONUNBUFFERED": "1"}

    def wait_until_under_way(self) -> None:
        deadline = monotonic() + PATIENCE
        while not self.query("SELECT 1 FROM upkeep_run WHERE done > 0"):
            assert all(each.poll() is None for each in self.terminals), self.screens()
            assert monotonic() < deadline, self.screens()
            sleep(0.05)

    def see_the_run_paused(self) -> None:
        """See who watches the run told of it; from now on rows are saved fast."""
        watcher = self.terminals[-1]
        assert watcher.wait(PATIENCE) == 1, self.screens()
        assert "paused" in self.screens()
        self.slowly.unlink()

    def screens(self) -> str:
        """Return what the terminals show."""
        logs = sorted(self.folder.glob("terminal-*.txt"))
        return "\n\n".join(log.read_text() for log in logs)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database:
            return database.execute(sql).fetchall()

    def leave(self) -> None:
        """Press Ctrl-C in all terminals, and see that nothing is left of them."""
        for terminal in self.terminals:
            terminal.send_signal(signal.SIGINT)
        for terminal in self.terminals:
            try:
                terminal.wait(PATIENCE)
            finally:
                terminal.kill()


def is_in(said: list[str], line: str) -> bool:
    """Tell whether a line was said; "…" stands for what differs each time."""
    pattern = re.escape(line).replace("…", ".*")
    return any(re.fullmatch(pattern, each) for each in said)


def fit_for_this_django(text: str) -> str:
    """Leave out the lines that README says are for another Django."""
    if django.VERSION < (6, 0):
        return text
    return re.sub(r"^.*# on Django 5\.2 only.*\n", "", text, flags=re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a browser shows."""

    url: str
    text: str


class Browser:
    """As much of a browser as forms need: cookies, redirects and hidden fields."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.cookies = CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.cookies))

    def log_in(self, username: str, password: str) -> None:
        """Go where a page sends one who is not logged in, and log in there."""
        page = self.get("/upkeep/")
        assert "/admin/login/" in page.url
        path = page.url.removeprefix(self.site)
        page = self.post(path, username=username, password=password)
        assert page.url == f"{self.site}/upkeep/", page.text

    def get(self, path: str) -> Page:
        """Open a page."""
        return self._open(path)

    def post(self, path: str, **fields: object) -> Page:
        """Send the form of a page, and go where that leads."""
        self.get(path)
        (token,) = [each.value for each in self.cookies if each.name == "csrftoken"]
        data = urlencode(fields | {"csrfmiddlewaretoken": token})
        return self._open(path, data.encode())

    def _open(self, path: str, data: bytes | None = None) -> Page:
        deadline = monotonic() + PATIENCE
        while True:
            try:
                with self.opener.open(self.site + path, data, PATIENCE) as answer:
                    return Page(url=answer.url, text=answer.read().decode())
            except HTTPError:
                raise
            except URLError:  # The server is still starting.
                assert monotonic() < deadline
                sleep(0.05)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    reader.make_project()
    yield reader
    reader.leave()


@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="by design: the reader has an SQLite file, whatever the suite's database",
)
def test_who_types_it_all_gets_what_it_says(reader: Reader) -> None:
    for block in BLOCKS:
        if block.first_line not in NOT_TYPED:
            reader.follow(block)

    browser = Browser(f"http://{reader.host}")
    browser.log_in("ada", "lovelace")
    page = browser.post("/upkeep/tasks/blog.FillSlugs/", length=41)
    assert page.url.endswith("/upkeep/runs/2/")
    reader.type("python manage.py upkeep status 2 --follow")
    assert "Succeeded after" in browser.get("/upkeep/runs/2/").text

    runs = reader.query("SELECT status, done FROM upkeep_run ORDER BY id")
    assert runs == [("succeeded", POSTS), ("succeeded", 0)]
    (slugs,) = reader.query(
        "SELECT count(*) FROM blog_post WHERE slug = 'post-number-' || (id - 1)"
    )
    assert slugs == (POSTS,)


@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="by design: the reader has an SQLite file, whatever the suite's database",
)
def test_who_types_the_tutorial_gets_what_it_says(reader: Reader) -> None:
    reader.slowly.unlink()
    for block in BLOCKS:
        if block.text.startswith(tuple(f"# {name}" for name in OF_THE_PROJECT)):
            reader.follow(block)
    reader.type("python manage.py migrate")
    for block in blocks(TUTORIAL):
        reader.follow(block)

    imported = f"SELECT title, slug FROM blog_post WHERE id > {POSTS} ORDER BY slug"
    assert reader.query(imported) == [
        ("One", "one"),
        ("Three", "three"),
        ("Two", "two"),
    ]
    runs = reader.query("SELECT status, done, failed FROM upkeep_run ORDER BY id")
    assert runs == [("succeeded", 2, 1), ("succeeded", 1, 0)]


def test_what_is_not_typed_is_there_and_said_why() -> None:
    assert set(NOT_TYPED) <= {block.first_line for block in BLOCKS}
    assert all(NOT_TYPED.values())


def test_make_knows_what_it_is_asked_for() -> None:
    targets = set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text()))
    assert {"demo", "test"} <= set(re.findall(r"`make (\w+)", README)) <= targets


def test_links_to_files_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text)
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_is_one_page() -> None:
    assert len(README.splitlines()) <= 150
