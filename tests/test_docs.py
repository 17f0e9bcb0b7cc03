"""The pages are true: examples run, tables are whole, tests that are named exist."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
import shlex
import sys
import unittest
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import ExitStack
from dataclasses import fields
from datetime import timedelta
from functools import partial
from http.cookies import SimpleCookie
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import load_command_class
from django.core.management.base import CommandParser
from django.db import connection
from django.dispatch import Signal
from django.test import Client, RequestFactory, TestCase
from django.urls import reverse
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_django import Settings

import upkeep as upkeep_itself
from tests.inventory import is_a_test
from tests.management.commands import upkeep
from tests.registering import registered
from tests.runs.stages import run_in
from tests.testapp.maintenance import Slowly
from tools import soak
from upkeep import (
    Handle,
    Job,
    Quarantine,
    Retry,
    Task,
    Throttle,
    checks,
    exceptions,
    forms,
    models,
    signals,
    testing,
    throttle,
)
from upkeep.conf import Conf
from upkeep.dispatch import supervisor
from upkeep.execution.announcements import HOOKS, announce
from upkeep.execution.failures import DATABASE_PATIENCE
from upkeep.execution.letters import tell_of
from upkeep.forms import CSVField, JSONLinesField, XLSXField
from upkeep.management.exits import Exit
from upkeep.management.verbs import VERBS
from upkeep.runs.facts import facts
from upkeep.runs.models import CANCEL, PAUSE, RESUME, Run
from upkeep.runs.sources import Source
from upkeep.runs.status import Status
from upkeep.tasks import policies
from upkeep.tasks.policies import Rule
from upkeep.urls import urlpatterns

DOCS = Path(__file__).resolve().parent.parent / "docs"
REFERENCE = (DOCS / "reference.md").read_text(encoding="utf-8")

COMING = DOCS / "coming-from-maintenance-tasks.md"

GUARANTEES = DOCS / "explanation" / "guarantees.md"
INDEX = DOCS / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))

# A reader types the tutorial in test_readme.py; the examples of others run here.
TUTORIAL = DOCS / "tutorial.md"
WITH_EXAMPLES = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != TUTORIAL],
    ids=lambda page: page.stem,
    indirect=True,
)

# What the reader's project has when the reference begins.
MODELS = """\
from django.db import models


class Post(models.Model):
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200, blank=True)

    class Meta:
        app_label = "blog"
"""
FOUR = range(1, 5)  # attempts

# The files of tests that a page may show.
TESTS = ["tests.py", "test_tasks.py"]
POSTS_CSV = "title,slug\n# from the old blog\n One , one\n Two , two\n"


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the examples of a page, each with its language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def file_named(name: str, page: Path) -> str:
    """Return the file whose name is the first line of blocks, one after the other."""
    first_line = f"# {name}\n"
    return "\n\n".join(text for _, text in blocks(page) if text.startswith(first_line))


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request: pytest.FixtureRequest) -> Path:
    """Be given one page after the other."""
    found: Path = request.param
    return found


@pytest.fixture
def blog(
    transactional_db: None,
    page: Path,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Have the app of a page's examples, with a table and without posts."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "posts.csv").write_text(POSTS_CSV)
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "__init__.py").touch()
    (tmp_path / "blog" / "models.py").write_text(MODELS)
    maintenance = file_named("blog/maintenance.py", page)
    (tmp_path / "blog" / "maintenance.py").write_text(maintenance)
    for name in TESTS:
        (tmp_path / "blog" / name).write_text(file_named(f"blog/{name}", page))
    settings.BASE_DIR = tmp_path
    with registered():
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "blog"]
        post = apps.get_app_config("blog").get_model("Post")
        with connection.schema_editor() as editor:
            editor.create_model(post)
        yield
    with connection.schema_editor() as editor:
        editor.delete_model(post)
    del apps.all_models["blog"]
    for name in [name for name in sys.modules if name.split(".")[0] == "blog"]:
        del sys.modules[name]


@WITH_EXAMPLES
@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="by design: what the examples show is the same on every database",
)
def test_the_examples_do_what_they_show(blog: None, page: Path, tmp_path: Path) -> None:
    known: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    for language, text in blocks(page):
        if language == "pycon":
            see_what_python_answers(text, known, page)
        elif language == "console":
            see_what_the_command_answers(text)
        elif language == "sh":
            answer = what_the_page_answers(text)
        elif language == "json":
            assert answer | json.loads(text) == answer
    kept = tmp_path / "upkeep-files"
    assert not kept.exists() or (kept / ".gitignore").read_text() == "*\n"


@WITH_EXAMPLES
@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="by design: what the examples show is the same on every database",
)
def test_the_tests_shown_pass(blog: None, page: Path) -> None:
    """Django's runner would find the classes, pytest-django the functions."""
    suite = unittest.TestSuite()
    for name in TESTS:
        module = import_module(f"blog.{name.removesuffix('.py')}")
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
        suite.addTests(as_test_cases(module))
    result = unittest.TextTestRunner(stream=StringIO()).run(suite)
    assert [text for _, text in result.errors + result.failures] == []
    shown = re.findall(r"def test_", page.read_text(encoding="utf-8"))
    assert result.testsRun == len(shown)


def as_test_cases(module: ModuleType) -> Iterator[TestCase]:
    """Wrap functions as pytest-django does: each in a TestCase of its own."""
    for name, function in vars(module).items():
        if name.startswith("test_"):
            kind = type(name, (TestCase,), {name: staticmethod(function)})
            yield kind(name)


def see_what_python_answers(text: str, known: dict[str, Any], page: Path) -> None:
    example = doctest.DocTestParser().get_doctest(
        text, known, page.name, str(page), None
    )
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    results = runner.run(example, out=said.append, clear_globs=False)
    known |= example.globs
    assert not results.failed, "".join(said)


def see_what_the_command_answers(text: str) -> None:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *answer = without_numbers(part).splitlines()
        words = shlex.split(command)
        assert words[:3] == ["python", "manage.py", "upkeep"]
        outcome = upkeep(*words[3:])
        assert outcome.status == 0, outcome
        said = without_numbers(outcome.out).splitlines()
        assert [line for line in answer if line not in said] == [], outcome


def what_the_page_answers(text: str) -> Any:
    """Do what curl would do for somebody who is logged in."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("ada"))
    session = client.cookies["sessionid"].value
    text = text.replace("\\\n", " ")
    text = text.replace("$SESSION", session).replace("$TOKEN", "t" * 32)
    parser = ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-H", action="append", dest="headers")
    parser.add_argument("-b", dest="cookies")
    parser.add_argument("-d", action="append", dest="data")
    curl, *words = shlex.split(text)
    assert curl == "curl"
    asked = parser.parse_args(words)
    client.cookies = SimpleCookie(asked.cookies)
    headers = dict(each.split(": ") for each in asked.headers)
    data = dict(each.split("=") for each in asked.data)
    answer = client.post(urlsplit(asked.url).path, data, headers=headers)
    assert answer.status_code == 201, answer.content
    return answer.json()


def without_numbers(text: str) -> str:
    """Leave out which run it is."""
    return re.sub(r"\bRun \d+\b", "Run N", text)


def test_the_settings_shown_are_settings(page: Path) -> None:
    shown: dict[str, Any] = {}
    exec(file_named("settings.py", page), shown)  # noqa: S102 - it is ours
    if page.name == "reference.md" or "UPKEEP" in shown:
        assert Conf(**shown["UPKEEP"]) != Conf()


# How to deploy

DEPLOY = DOCS / "how-to" / "deploy.md"


def units() -> dict[str, ConfigParser]:
    """Return the units of systemd on the page, by their paths."""
    return {
        path: found
        for path, found in configurations().items()
        if path.startswith("/etc/systemd/")
    }


def configurations() -> dict[str, ConfigParser]:
    """Return the files of sections and keys on the page, by their paths."""
    found: dict[str, ConfigParser] = {}
    for language, text in blocks(DEPLOY):
        if language == "ini":
            path = text.partition("\n")[0].removeprefix("# ")
            found[path] = ConfigParser(interpolation=None)
            found[path].optionxform = str  # type: ignore[assignment,method-assign]
            found[path].read_string(text)
    return found


def containers() -> dict[str, str]:
    """Return what describes containers, by the names of the files."""
    return {
        text.partition("\n")[0].removeprefix("# "): text
        for language, text in blocks(DEPLOY)
        if language == "yaml"
    }


def test_the_commands_that_are_deployed_are_commands() -> None:
    commands = [
        shlex.split(unit["Service"]["ExecStart"])[1:] for unit in units().values()
    ]
    lists = [file_named("Dockerfile", DEPLOY).partition("CMD ")[2]]
    for text in containers().values():
        lists += re.findall(r"^ *command: (.*)$", text, re.MULTILINE)
    commands += [json.loads(each)[1:] for each in lists]
    assert len(commands) >= 6
    parser = load_command_class("upkeep", "upkeep").create_parser("manage.py", "upkeep")
    for manage, name, *words in commands:
        assert (manage, name) == ("manage.py", "upkeep")
        assert parser.parse_args(words).verb in {"worker", "recover"}


def test_each_unit_is_whole() -> None:
    """It can be put where its name says, without a line of another one."""
    for path, unit in units().items():
        assert {"Unit", "Service", "Install"} == set(unit.sections()), path
        assert {"User", "WorkingDirectory"} <= set(unit["Service"])
        assert unit["Service"]["Restart"] == "always"
        assert ("%i" in unit["Service"]["ExecStart"]) == ("@.service" in path)


def test_a_unit_of_workers_tells_the_supervisor_alone_and_leaves_time() -> None:
    services = [unit["Service"] for unit in units().values()]
    workers = [each for each in services if "upkeep worker" in each["ExecStart"]]
    assert len(workers) == 2
    for service in workers:
        assert service["KillMode"] == "mixed"
        assert int(service["TimeoutStopSec"]) > 10
        assert service["OOMPolicy"] == "continue"


def test_a_container_has_as_much_time_as_a_unit() -> None:
    unit = units()["/etc/systemd/system/shop-worker.service"]["Service"]
    stop = unit["TimeoutStopSec"]
    assert f"stop_grace_period: {stop}s" in containers()["compose.yaml"]
    deployment = containers()["worker-deployment.yaml"]
    assert f"terminationGracePeriodSeconds: {stop}" in deployment


def test_pgbouncer_pools_transactions_and_ends_none() -> None:
    pool = configurations()["/etc/pgbouncer/pgbouncer.ini"]["pgbouncer"]
    assert pool["pool_mode"] == "transaction"
    assert pool["idle_transaction_timeout"] == "0"


def test_the_options_of_the_connection_are_options() -> None:
    shown: dict[str, Any] = {}
    exec(file_named("settings.py", DEPLOY), shown)  # noqa: S102 - it is ours
    options = shown["DATABASES"]["default"]["OPTIONS"]
    assert conninfo_to_dict(make_conninfo(**options)).keys() == options.keys()


def test_the_waits_of_a_restart_are_as_they_say() -> None:
    text = DEPLOY.read_text(encoding="utf-8")
    first, longest = supervisor.FIRST_RESTART_AFTER, supervisor.LONGEST_RESTART_AFTER
    assert (first, longest) == (timedelta(seconds=1), timedelta(seconds=30))
    assert timedelta(seconds=10) == supervisor.STEADY_AFTER
    assert "within ten seconds after 1, 2, 4 … 30 seconds" in text
    assert f"up to {DATABASE_PATIENCE.seconds} s" in text
    assert f"its lease ({Conf().LEASE.seconds} s)" in text


# Tables

Row = list[str]


def table(heading: str) -> dict[str, Row]:
    """Return the rows of the table whose first column has that heading, by it."""
    (found,) = re.findall(
        rf"^\| {heading} \|.*\n\|[- |]+\n((?:\|.*\n)+)", REFERENCE, re.MULTILINE
    )
    rows = [line.strip("|").split(" | ") for line in found.splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def defaults(heading: str) -> dict[str, Any]:
    """Return what a table says of defaults: Python values in backticks."""
    return {
        name.strip("`"): value_of(cells[0].strip("`"))
        for name, cells in table(heading).items()
    }


def value_of(code: str) -> Any:
    if code in upkeep_itself.__all__:
        return getattr(upkeep_itself, code)
    if duration := re.fullmatch(r"timedelta\((\w+)=([\d.]+)\)", code):
        return timedelta(**{duration[1]: float(duration[2])})
    return ast.literal_eval(code)


def test_every_attribute_of_a_task_is_there_with_its_default() -> None:
    hints = inspect.get_annotations(Task)
    names = [name for name, hint in hints.items() if str(hint).startswith("ClassVar")]
    settable = {name: getattr(Task, name) for name in names if name != "fields"}
    assert defaults("attribute") == settable


def test_every_address_is_there_with_its_name() -> None:
    told = {address: cells[0] for address, cells in table("address").items()}
    known = {
        re.sub("<[a-z]+:", "<", f"`upkeep/{each.pattern}`"): f"`upkeep:{each.name}`"
        for each in urlpatterns
    }
    assert told == known


@pytest.mark.django_db
def test_the_json_of_each_page_is_as_it_says() -> None:
    run = Slowly.enqueue(numbers=1)
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    told = {
        name: set(re.findall(r"`(\w+)`", cells[0]))
        for names, cells in table("of the page").items()
        for name in re.findall(r"`(\S+)`", names)
    }
    headers = {"Accept": "application/json"}

    def json_of(name: str, *args: Any) -> Any:
        return client.get(reverse(name, args=args), headers=headers).json()

    tasks = json_of("upkeep:task-list")
    assert {*tasks, *tasks["tasks"][0]} == told["upkeep:task-list"]
    task = json_of("upkeep:task", run.task)
    assert set(task) == told["upkeep:task"]
    assert set(json_of("upkeep:run-progress", run.pk)) == told["upkeep:run-progress"]
    (sentence,) = re.findall(r"A parameter has (.*)", REFERENCE)
    assert set(task["parameters"][0]) == set(re.findall(r"`(\w+)`", sentence))
    assert told["upkeep:run"] == told["upkeep:run-pause"]
    in_full = json_of("upkeep:run", run.pk)
    assert set(in_full) == {*facts(run), "url", *told["upkeep:run"]}
    (sentence,) = re.findall(r"A line of the story has (.*)", REFERENCE)
    assert set(in_full["story"][0]) == set(re.findall(r"`(\w+)`", sentence))
    letter = run.dead_letters.create(item="one", error_class="x.Error")
    type(run).objects.update(failed=1)
    letters = json_of("upkeep:run-letters", run.pk)
    assert set(letters) == told["upkeep:run-letters"]
    (sentence,) = re.findall(r"A cause has (.*)", REFERENCE)
    assert set(letters["causes"][0]) == set(re.findall(r"`(\w+)`", sentence))
    (sentence,) = re.findall(r"A dead letter has (.*)", REFERENCE)
    of_letter = set(re.findall(r"`(\w+)`", sentence))
    assert set(letters["letters"][0]) == of_letter
    in_full = json_of("upkeep:letter", letter.pk)
    assert set(in_full) == of_letter | told["upkeep:letter"]
    waiting = json_of("upkeep:letter-list")
    assert {*waiting, *waiting["runs"][0], "call"} == told["upkeep:letter-list"]
    assert {f"upkeep:{each.name}" for each in urlpatterns} == set(told)


def test_every_public_name_is_there() -> None:
    known = {
        module.__name__: set(module.__all__)
        for module in (upkeep_itself, forms, models, testing)
    }
    told = {name.strip("`"): cells[0] for name, cells in table("module").items()}
    for module, names in known.items():
        assert set(re.findall(r"`(\w+)`", told.pop(module))) <= names
        assert names <= set(re.findall(r"`@?(\w+)", REFERENCE)), module
    assert [import_module(module).__name__ for module in told] == [*told]


def test_the_names_of_the_package_are_listed_in_one_place() -> None:
    listed = table("module")["`upkeep`"][0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(upkeep_itself.__all__)


def test_every_rule_is_there_as_it_is_called() -> None:
    rules = [
        each for each in Rule.__subclasses__() if each.__module__ == Rule.__module__
    ]
    told = {re.findall(r"`(\w+)\((.*)\)`", cell)[0] for cell in table("rule")}
    assert told == {(each.__name__, arguments_of(each)) for each in rules}


def arguments_of(rule: type[Rule]) -> str:
    """Return the arguments as one writes them."""
    if rule is Handle:
        return '*errors, "method"'
    options = options_of(rule.__init__)
    written = [f"{name}={in_words(value)}" for name, value in options.items()]
    return ", ".join(["*errors", *written])


def in_words(value: Any) -> str:
    return str(getattr(value, "__name__", repr(value)))


def test_every_argument_of_a_rule_is_there_with_its_default() -> None:
    known = options_of(Retry.__init__) | options_of(Quarantine.__init__)
    assert defaults("argument of a rule") == known


def test_every_wait_is_there_as_long_as_it_is() -> None:
    told = {
        name.strip("`"): [int(each) for each in re.findall(r"\d+", cells[0])]
        for name, cells in table("wait").items()
    }
    waits = {
        name: [
            getattr(upkeep_itself, name)(attempt).total_seconds() for attempt in FOUR
        ]
        for name in told
    }
    assert told == waits
    public = vars(policies).values()
    assert set(told) == {
        each.__name__
        for each in public
        if inspect.isfunction(each) and "attempt" in inspect.signature(each).parameters
    }


def test_every_argument_of_a_throttle_is_there_with_its_default() -> None:
    assert defaults("argument of a throttle") == options_of(throttle)
    hints = inspect.get_annotations(Throttle)
    names = {each for each, hint in hints.items() if "ClassVar" not in str(hint)}
    assert names == {"name", *options_of(throttle)}


def test_a_job_differs_as_it_says() -> None:
    names = defaults("attribute")
    differing = [name for name in names if getattr(Job, name) != getattr(Task, name)]
    assert sorted(differing) == ["abstract", "atomic"]
    assert "In a Job it is False." in " ".join(table("attribute")["`atomic`"])


def test_every_setting_is_there_with_its_default() -> None:
    assert defaults("key") == {field.name: field.default for field in fields(Conf)}


def test_what_a_setting_must_be_is_there_with_the_check_that_says_so() -> None:
    told = {name.strip("`"): cells[-1] for name, cells in table("key").items()}
    rules = checks.RULES.items()
    assert told == {name: f"{rule.must_be}: `{rule.id}`" for name, rule in rules}


def test_every_system_check_is_there() -> None:
    known = set(re.findall(r"upkeep\.[EIW]\d+", inspect.getsource(checks)))
    assert {each.strip("`") for each in table("id")} == known


@pytest.mark.parametrize("field", [CSVField, JSONLinesField, XLSXField])
def test_every_option_of_a_field_is_there_with_its_default(field: type[Any]) -> None:
    assert defaults(f"option of {field.__name__}") == options_of(field.__init__)


def test_every_function_for_tests_is_there_with_its_arguments() -> None:
    known = set()
    for name in testing.__all__:
        signature = inspect.signature(getattr(testing, name))
        names = [
            f"**{each.name}" if each.kind == each.VAR_KEYWORD else each.name
            for each in signature.parameters.values()
        ]
        known.add((name, tuple(names)))
    said = set()
    for cell in table("function"):
        name, arguments = re.findall(r"`(\w+)\((.*)\)`", cell)[0]
        names = [each.split("=")[0] for each in arguments.split(", ") if each != "*"]
        said.add((name, tuple(names)))
    assert said == known


def test_every_argument_of_using_is_there() -> None:
    named = re.findall(r"`(\w+)`", " ".join(table("argument of `using`")))
    assert set(named) == set(options_of(Task.using))


def options_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only arguments, with their defaults."""
    arguments = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in arguments if each.kind == 3}


def test_every_status_is_there_with_what_one_can_do() -> None:
    verbs = {"pause": PAUSE, "resume": RESUME, "cancel": CANCEL}
    possible = {
        f"`{status}`": {
            verb for verb, goals in verbs.items() if goals.get(status, status) != status
        }
        for status in Status
    }
    said = {
        status: set(re.findall(r"\w+", re.sub(r"\(.*?\)", "", cells[-1].strip("|"))))
        for status, cells in table("status").items()
    }
    assert said == possible


def test_every_source_of_a_move_is_there() -> None:
    assert {value_of(cell.strip("`")) for cell in table("source")} == {*Source, ""}


def test_every_verb_is_there_with_all_its_options() -> None:
    said: dict[str, set[str]] = {}
    for verbs, (cell, *_) in table("verb").items():
        for name in re.findall(r"`(\w+)", verbs):
            said[name] = set(re.findall(r"`(--[\w-]+)", cell))
    assert said == {name: options_of_verb(name) for name in VERBS}


def options_of_verb(name: str) -> set[str]:
    parser = ArgumentParser(add_help=False)
    VERBS[name].add_arguments(cast("CommandParser", parser))
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }


def test_every_exit_status_is_there() -> None:
    kinds: list[type[Exit]] = [Exit, *Exit.__subclasses__()]
    known = {kind.status for kind in kinds}
    assert set(map(int, table("exit status"))) == {0, *known}


def test_every_signal_is_there_with_its_hook() -> None:
    told = {name: cells[0].strip("`") for name, cells in table("signal").items()}
    named = {
        f"`{name}`": HOOKS.get(found, "–")
        for name, found in vars(signals).items()
        if isinstance(found, Signal)
    }
    assert {name: hook.partition("(")[0] for name, hook in told.items()} == named


@pytest.mark.django_db
def test_every_signal_is_sent_with_what_it_says(heard: dict[str, set[str]]) -> None:
    for status in sorted(Status):
        run = run_in(status)
        if status is Status.PAUSED:
            run.resume()
        for event in run.events.exclude(announce_at=None):
            announce(event)
        run.delete()
    tell_of(run_in(Status.ERRORED).dead_letters.create(fingerprint="some cause"))
    assert heard == {
        name.strip("`"): set(re.findall(r"`(\w+)`", cells[1]))
        for name, cells in table("signal").items()
    }


@pytest.fixture
def heard() -> Iterator[dict[str, set[str]]]:
    """Be told which signals were sent, and with what."""
    sent: dict[str, set[str]] = {}

    def listen_to(name: str, found: Signal) -> Callable[..., object]:
        def receiver(*, sender: object, signal: Signal, **others: object) -> None:
            sent[name] = set(others)

        found.connect(receiver, weak=False)
        return partial(found.disconnect, receiver)

    with ExitStack() as stack:
        for name, found in vars(signals).items():
            if isinstance(found, Signal):
                stack.callback(listen_to(name, found))
        yield sent


def test_the_recipe_for_sentry_sends_the_error_with_its_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentry = mock.MagicMock()
    monkeypatch.setitem(sys.modules, "sentry_sdk", sentry)
    recipe: dict[str, Any] = {}
    exec(file_named("blog/reporting.py", DOCS / "how-to" / "react.md"), recipe)  # noqa: S102 - it is ours
    error, context = ValueError("No."), {"task": "blog.Shout", "handled": False}
    recipe["report"](error, **context)
    scope = sentry.new_scope().__enter__()
    scope.set_context.assert_called_once_with("upkeep", context)
    scope.capture_exception.assert_called_once_with(error)


def test_the_recipe_for_metadata_tells_of_a_request() -> None:
    recipe: dict[str, Any] = {}
    exec(file_named("blog/audit.py", DOCS / "how-to" / "parameters.md"), recipe)  # noqa: S102 - it is ours
    request = RequestFactory().post("/", headers={"X-Ticket": "7"})
    assert recipe["metadata"](request) == {"address": "127.0.0.1", "ticket": "7"}


def test_every_exception_is_there() -> None:
    known = {
        f"`{name}`"
        for name, found in vars(exceptions).items()
        if inspect.isclass(found) and issubclass(found, exceptions.UpkeepError)
    }
    assert set(table("exception")) == known - {"`UpkeepError`"}


def test_every_field_of_a_run_is_there() -> None:
    (fields_of_run,) = re.findall(r"Read from it\n(.*?)\n\nCall", REFERENCE, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", fields_of_run))
    assert [name for name in named if not hasattr(Run, name)] == []
    assert {each.name for each in Run._meta.concrete_fields if each.editable} <= named


def test_every_test_that_is_named_is_there(page: Path) -> None:
    named = named_in(page.read_text(encoding="utf-8"))
    assert [name for name in named if not is_a_test(name)] == []


@pytest.mark.parametrize("part", ["How they are kept", "How it is tested"])
def test_every_law_names_the_test_that_shows_it(part: str) -> None:
    text = GUARANTEES.read_text(encoding="utf-8")
    (laws,) = re.findall(rf"^## {part}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    _, *others = re.split(r"^### ", laws, flags=re.MULTILINE)
    assert len(others) >= 5
    assert [law.splitlines()[0] for law in others if not named_in(law)] == []


def test_every_promise_says_where_it_holds_what_keeps_it_and_what_tests_it() -> None:
    text = GUARANTEES.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!what happens|---)(.*) \|$", promises(text), re.MULTILINE)
    assert len(rows) >= 10
    for row in rows:
        *_, where, kept_by, tested_by = row.split(" | ")
        assert where
        assert re.fullmatch(r"\[.+\]\(#.+\)", kept_by), row
        assert re.fullmatch(r"\[.+\]\(#.+\)", tested_by), row


def promises(text: str) -> str:
    return text.partition("## The promises")[2].partition("\n## ")[0]


def test_what_repeats_a_soak_is_a_command() -> None:
    text = GUARANTEES.read_text(encoding="utf-8")
    words = re.findall(r"`make soak ONLY=([\w+]+)", text)
    assert len(words) >= 10
    assert all(soak.chosen([each]) for each in words)


def named_in(text: str) -> list[str]:
    return re.findall(r"`tests/(\S+?\.py::[\w:]+)`", text)


def test_links_lead_somewhere() -> None:
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text)
        assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_index_leads_to_every_page() -> None:
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", INDEX.read_text(encoding="utf-8"))
    led_to = {(DOCS / link).resolve() for link in links}
    assert set(PAGES) - led_to == {INDEX}


def test_links_within_the_page_lead_to_headings(page: Path) -> None:
    links = re.findall(r"\]\(#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert set(links) <= anchors_of(page)


def test_links_into_other_pages_lead_to_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)#([^)]+)\)", text)
    for path, anchor in links:
        assert anchor in anchors_of(page.parent / path), (path, anchor)


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


# Coming from another library

# What one can write, set and call in maintenance_tasks 2.17.
NAMES_THERE = """
    Task load_all available_tasks named NotFoundError collection process count
    no_collection csv_collection collection_batch_size enumerator_builder cursor_columns
    throttle_on attribute validates mask_attribute reload_status_every report_on
    rescue_from metadata csv_content in_batches cursor_is_json retry_on
    after_start after_pause after_interrupt after_cancel after_complete after_error
    enqueued paused cancelled succeeded errored error_handler
    Runner run resume pause cancel name csv_file arguments run_model EnqueuingError
    RecordInvalid ValueTooLong RunConcern TaskJob TaskJobConcern
    task_name tick_count tick_total time_running time_to_completion error_class
    error_message backtrace started_at ended_at created_at updated_at cursor status
    job_id lock_version active completed started stopped stopping stuck stale
    new running interrupted pausing cancelling
    perform list help install task
    tasks_module job ticker_delay active_storage_service backtrace_cleaner
    parent_controller stuck_task_duration status_reload_frequency
    report_errors_as_handled serialize_cursors_as_json task_staleness_threshold
    max_job_runtime default_retry_backoff filter_parameters
    iterate_exact_times iterate_once continue_iterating mark_job_worker_as_interrupted
    build_enumerator each_iteration on_start on_shutdown on_complete nested parallel
"""


def test_every_name_of_maintenance_tasks_is_there() -> None:
    rows = re.findall(r"^\| (.*?) \| .* \|$", COMING.read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", " ".join(rows)))))
    assert set(NAMES_THERE.split()) - named == set()


def test_each_row_says_what_is_there_what_is_here_and_what_differs() -> None:
    lines = re.findall(r"^\|.*$", COMING.read_text("utf-8"), re.MULTILINE)
    assert [line for line in lines if line.count("|") != 4] == []
