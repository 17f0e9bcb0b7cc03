"""Which tasks there are: found by themselves, and known by their labels."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from unittest import mock

import pytest
from django.apps import apps
from django.core.exceptions import AppRegistryNotReady
from pytest_django import Settings

from tests.registering import registered
from tests.testapp.maintenance import CountUp
from upkeep.exceptions import TaskNotFound
from upkeep.tasks import registry
from upkeep.tasks.base import Job, Task


@pytest.fixture(autouse=True)
def own_tasks() -> Iterator[None]:
    """Forget afterwards what a test adds."""
    with registered():
        yield


def make(name: str, **attributes: object) -> type[Task]:
    """Make a class as if it stood in the module of the test application."""
    module = {"__module__": "tests.testapp.maintenance"}
    return type(name, (Task,), {**module, **attributes})


class App:
    """An app that lies in a folder of its own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder / "shop", settings
        self.write("__init__.py", "")

    def write(self, name: str, code: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(code))

    def install(self) -> None:
        self.settings.INSTALLED_APPS = [*self.settings.INSTALLED_APPS, "shop"]


@pytest.fixture
def app(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[App]:
    monkeypatch.syspath_prepend(tmp_path)
    yield App(tmp_path, settings)
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


class TestDiscovery:
    def test_finds_the_module_of_an_app(self, app: App) -> None:
        app.write("maintenance.py", TASK.format(name="Tidy"))
        app.install()
        assert registry.get("shop.Tidy").__module__ == "shop.maintenance"

    def test_finds_packages_however_deep(self, app: App) -> None:
        app.write("maintenance/__init__.py", TASK.format(name="First"))
        app.write("maintenance/orders.py", TASK.format(name="Second"))
        app.write("maintenance/stock/__init__.py", "")
        app.write("maintenance/stock/old/__init__.py", "")
        app.write("maintenance/stock/old/years.py", TASK.format(name="Third"))
        app.install()
        found = [task.label() for task in registry.tasks() if "shop" in task.label()]
        assert found == ["shop.First", "shop.Second", "shop.Third"]

    def test_goes_by_the_name_in_the_settings(self, app: App) -> None:
        app.settings.UPKEEP = {"TASKS_MODULE": "chores"}
        app.write("maintenance.py", TASK.format(name="Tidy"))
        app.write("chores.py", TASK.format(name="Sweep"))
        app.install()
        assert "shop.Sweep" in registry.labels()
        assert "shop.Tidy" not in registry.labels()

    def test_needs_no_module_in_an_app(self, app: App) -> None:
        app.install()

    def test_does_not_hide_an_error_in_a_module(self, app: App) -> None:
        app.write("maintenance.py", "import no_such_module")
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            app.install()


TASK = """
from upkeep import Task

class {name}(Task):
    pass
"""


class TestTasks:
    def test_come_in_the_order_of_their_labels(self) -> None:
        labels = [task.label() for task in registry.tasks()]
        assert labels == sorted(labels)
        assert "testapp.CountUp" in labels

    def test_that_are_abstract_are_not_listed(self) -> None:
        make("Shape", abstract=True)
        assert "testapp.Shape" not in registry.labels()
        assert Job not in registry.tasks()

    def test_whose_parent_is_abstract_are(self) -> None:
        parent = make("Shape", abstract=True)
        type("Square", (parent,), {"__module__": "tests.testapp.maintenance"})
        assert "testapp.Square" in registry.labels()

    def test_that_are_made_in_a_function_are_not(self) -> None:
        class Passing(Task):
            app_label = "testapp"

        assert "testapp.Passing" not in registry.labels()

    def test_that_are_made_again_replace_themselves(self) -> None:
        """As when a module is reloaded."""
        make("Twice")
        second = make("Twice")
        assert registry.get("testapp.Twice") is second
        assert not registry.clashes()


class TestGet:
    def test_finds_by_label(self) -> None:
        assert registry.get("testapp.CountUp") is CountUp

    def test_finds_by_an_old_name(self) -> None:
        renamed = make("Renamed", aliases=("testapp.Old", "blog.Older"))
        assert registry.get("testapp.Old") is renamed
        assert registry.get("blog.Older") is renamed

    def test_takes_a_subclass_for_another_task_than_the_one_renamed(self) -> None:
        renamed = make("Renamed", aliases=("testapp.Old",))
        heir = type("Heir", (renamed,), {"__module__": "tests.testapp.maintenance"})
        assert registry.get("testapp.Old") is renamed
        assert registry.get("testapp.Heir") is heir
        assert registry.clashes() == []

    def test_prefers_a_label_to_an_alias(self) -> None:
        make("Renamed", aliases=("testapp.CountUp",))
        assert registry.get("testapp.CountUp") is CountUp

    @pytest.mark.parametrize("label", ["testapp.Item", "auth.User", "upkeep.Job"])
    def test_finds_nothing_that_is_no_task(self, label: str) -> None:
        with pytest.raises(TaskNotFound, match=f"There is no task '{label}'"):
            registry.get(label)

    def test_names_the_nearest(self) -> None:
        with pytest.raises(TaskNotFound) as caught:
            registry.get("testapp.ContUp")
        assert str(caught.value) == (
            "There is no task 'testapp.ContUp'. Did you mean testapp.CountUp? "
            "Tasks live in <app>/maintenance.py of an installed app; a process knows "
            "those that were there when it was started."
        )

    def test_names_none_where_none_is_near(self) -> None:
        with pytest.raises(TaskNotFound) as caught:
            registry.get("x")
        assert "Did you mean" not in str(caught.value)


class TestTrouble:
    def test_two_with_one_label_are_named_by_their_places(self) -> None:
        make("CountUp", __module__="tests.testapp.other")
        (sentence,) = registry.clashes()
        assert sentence == (
            "testapp.CountUp is claimed by tests.testapp.maintenance.CountUp "
            "and tests.testapp.other.CountUp."
        )

    def test_an_alias_that_is_another_one_s_label_clashes(self) -> None:
        make("Renamed", aliases=("testapp.CountUp",))
        assert len(registry.clashes()) == 1

    def test_one_in_no_app_is_lost_and_breaks_nothing(self) -> None:
        make("Lost", __module__="nowhere")
        (sentence,) = registry.lost()
        assert sentence.startswith("nowhere.Lost lies in no installed app")
        assert "testapp.CountUp" in registry.labels()

    def test_there_is_none(self) -> None:
        assert not registry.clashes()
        assert not registry.lost()


class TestCost:
    def test_a_name_is_looked_up_and_not_searched_for(self) -> None:
        registry.get("testapp.CountUp")
        with mock.patch.object(Task, "label", side_effect=AssertionError):
            assert registry.get("testapp.CountUp") is CountUp
            assert registry.find("testapp.Nothing") is None

    def test_a_class_that_is_made_later_is_found(self) -> None:
        assert registry.find("testapp.Later") is None
        later = make("Later", aliases=("testapp.Sooner",))
        assert registry.get("testapp.Later") is registry.get("testapp.Sooner") is later

    def test_before_the_apps_are_known_nothing_is_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.forget()
        monkeypatch.setattr(apps, "apps_ready", False)
        with pytest.raises(AppRegistryNotReady):
            registry.get("testapp.CountUp")
        monkeypatch.setattr(apps, "apps_ready", True)
        assert registry.get("testapp.CountUp") is CountUp

    def test_an_app_that_goes_takes_its_tasks_along(self, app: App) -> None:
        app.write("maintenance.py", TASK.format(name="Tidy"))
        before = app.settings.INSTALLED_APPS
        app.install()
        assert registry.find("shop.Tidy") is not None
        app.settings.INSTALLED_APPS = before
        assert registry.find("shop.Tidy") is None
