"""What is found wrong before anything runs, each with its id."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import ERROR, INFO, CheckMessage, Tags, run_checks
from django.core.files.storage import InMemoryStorage
from django.db import connections
from django.urls import include, path
from pytest_django import Settings

from tests.registering import registered
from tests.testapp.engines import without_transactions
from upkeep.checks import check_engines
from upkeep.compat import DjangoTask
from upkeep.conf import Conf, conf
from upkeep.tasks import registry
from upkeep.tasks.base import Job, Task

TASKS_PACKAGE = DjangoTask.__module__.split(".base", maxsplit=1)[0]
DATABASE = "django_tasks_db.DatabaseBackend"


@pytest.fixture(autouse=True)
def own_tasks() -> Iterator[None]:
    """Forget afterwards what a test adds to the tasks."""
    with registered():
        yield


def found() -> list[CheckMessage]:
    return run_checks(tags=["upkeep"])


def ids() -> list[str | None]:
    return [message.id for message in found()]


def make(name: str, module: str = "tests.testapp.maintenance", **given: Any) -> Any:
    """Make a task class as if it stood in a module."""
    methods = {"collection": lambda self: [], "process": lambda self, item: None}
    return type(name, (Task,), {"__module__": module, **methods, **given})


@pytest.fixture
def on_mariadb() -> None:
    """Skip what only MariaDB and MySQL have."""
    if connections["default"].vendor != "mysql":
        pytest.skip("by design: only MariaDB has tables without transactions")


def test_nothing_is_wrong_with_the_suite() -> None:
    assert not found()


async def a_coroutine(request: object) -> dict[str, Any]:
    return {"asked": str(request)}


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"LEESE": timedelta(1)}, "E001"),
            ({"LEASE": 30}, "E002"),
            ({"LEASE": timedelta(0)}, "E002"),
            ({"LEASE": None}, "E002"),
            ({"CHUNK": "0.5"}, "E002"),
            ({"CHECKPOINT_EVERY": timedelta(-1)}, "E002"),
            ({"TIME_BUDGET": 120}, "E002"),
            ({"TASKS_MODULE": None}, "E003"),
            ({"STORAGE": "s3"}, "E004"),
            ({"MASKED": "iban"}, "E005"),
            ({"MAX_UPLOAD": 0}, "E012"),
            ({"MAX_UPLOAD": "1 GB"}, "E012"),
            ({"MAX_COLUMNS": -1}, "E013"),
            ({"MAX_COLUMNS": 1.5}, "E013"),
            ({"MAX_UPLOAD": True}, "E012"),
            ({"TASKS_MODULE": ""}, "E003"),
            ({"TASKS_MODULE": "two words"}, "E003"),
            ({"STORAGE": ["default"]}, "E004"),
            ({"MASKED": ["iban", ""]}, "E005"),
            ({"MASKED": None}, "E005"),
            ({"RETENTION": 30}, "E002"),
            ({"RETENTION": timedelta(0)}, "E002"),
            ({"ERROR_REPORTER": "tests.testapp.nowhere.report"}, "E020"),
            ({"ERROR_REPORTER": "tests.testapp.clock.nothing"}, "E020"),
            ({"ERROR_REPORTER": 1}, "E020"),
            ({"METADATA": "tests.testapp.nowhere.metadata"}, "E025"),
            ({"METADATA": {"team": "shop"}}, "E025"),
            ({"METADATA": lambda: {"team": "shop"}}, "E025"),
            ({"METADATA": a_coroutine}, "E025"),
            ({"LOG_LINES": 0}, "E021"),
            ({"MAIL_ON_ERROR": "ada@example.com"}, "E022"),
            ({"BASE_URL": "shop.example.com"}, "E023"),
        ],
    )
    def test_that_are_wrong_are_named(
        self, settings: Settings, given: dict[str, Any], expected: str
    ) -> None:
        settings.UPKEEP = given
        (message,) = found()
        assert message.id == f"upkeep.{expected}"
        assert next(iter(given)) in message.msg

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"TIME_BUDGET": None},
            {"STORAGE": None},
            {"MAX_UPLOAD": None, "MAX_COLUMNS": None},
            {"MAX_UPLOAD": 1, "MAX_COLUMNS": 5_000},
            {"ERROR_REPORTER": print},
            {"METADATA": None},
            {"METADATA": lambda request: {"path": request.path}},
            {"METADATA": "tests.test_checks.make"},
            {"MAIL_ON_ERROR": True, "BASE_URL": "https://shop.example.com"},
            {"ERROR_REPORTER": "logging.exception"},
            {"STORAGE": "default", "MASKED": ["iban"], "TASKS_MODULE": "upkeeping"},
            {"TASKS_MODULE": "back.stage", "MASKED": {"iban"}},
            {"RETENTION": None},
            {"RETENTION": timedelta(days=30)},
        ],
    )
    def test_that_are_right_are_not(
        self, settings: Settings, given: dict[str, Any]
    ) -> None:
        settings.UPKEEP = given
        assert not found()

    @pytest.mark.parametrize("name", [field.name for field in fields(Conf)])
    def test_are_each_looked_at(self, settings: Settings, name: str) -> None:
        """A key that is new here is without a check."""
        settings.UPKEEP = {name: object()}
        (message,) = found()
        assert message.msg.startswith(f"UPKEEP['{name}'] must be ")
        assert message.id
        assert message.hint

    def test_by_default_are_right(self, settings: Settings) -> None:
        settings.UPKEEP = asdict(Conf())
        assert not found()

    @pytest.mark.parametrize("given", [None, "LEASE", 5, [("LEASE", 30)]])
    def test_that_are_no_dict_are_an_error(
        self, settings: Settings, given: object
    ) -> None:
        settings.UPKEEP = given
        (message,) = found()
        assert message.id == "upkeep.E014"
        assert message.hint
        assert conf.LEASE == Conf().LEASE

    @pytest.mark.parametrize("given", [None, {"TASKS_MODULE": None}])
    def test_that_are_wrong_let_the_project_come_to_its_checks(
        self, settings: Settings, given: object
    ) -> None:
        settings.UPKEEP = given
        registry.discover()

    def test_that_are_not_there_are_right(self, settings: Settings) -> None:
        del settings.UPKEEP
        assert not found()

    def test_unknown_ones_are_told_what_there_is(self, settings: Settings) -> None:
        settings.UPKEEP = {"LEESE": 1}
        assert "LEASE, STUCK_AFTER" in str(found()[0].hint)


class Public(InMemoryStorage):
    """A storage whose files anybody can open."""

    def url(self, name: str | None) -> str:
        return f"https://files.example/{name}"


class Signed(Public):
    """A storage whose addresses hold for an hour, for whom they are given to."""

    def url(self, name: str | None) -> str:
        return f"{super().url(name)}?signature=abc"


class Away(Public):
    """A storage that cannot be reached."""

    def url(self, name: str | None) -> str:
        raise ConnectionError


class TestStorage:
    FOLDER = "django.core.files.storage.FileSystemStorage"

    @pytest.mark.parametrize(
        ("backend", "options", "is_public"),
        [
            (f"{__name__}.Public", {}, True),
            (f"{__name__}.Signed", {}, False),
            (f"{__name__}.Away", {}, False),
            (FOLDER, {"location": "/srv/media/upkeep"}, True),
            (FOLDER, {"location": "/srv/private"}, False),
            (FOLDER, {"location": "/srv/private", "base_url": "/files/"}, True),
        ],
    )
    def test_with_a_public_address_is_a_warning(
        self, settings: Settings, backend: str, options: dict[str, str], is_public: bool
    ) -> None:
        settings.MEDIA_ROOT = "/srv/media"
        settings.MEDIA_URL = "/media/"
        settings.STORAGES = {
            **settings.STORAGES,
            "upkeep": {"BACKEND": backend, "OPTIONS": options},
        }
        assert ids() == (["upkeep.W003"] if is_public else [])

    def test_that_is_the_one_of_media_is_a_warning(self, settings: Settings) -> None:
        settings.MEDIA_ROOT = "/srv/media"
        settings.MEDIA_URL = "/media/"
        settings.UPKEEP = {"STORAGE": "default"}
        (message,) = found()
        assert message.id == "upkeep.W003"
        assert "the public can read them: /media/20" in message.msg
        assert "outside of MEDIA_ROOT" in str(message.hint)


class TestTasks:
    def test_in_no_app_is_an_error(self) -> None:
        make("Lost", module="nowhere.maintenance")
        (message,) = found()
        assert message.id == "upkeep.E006"
        assert "nowhere.maintenance.Lost lies in no installed app" in message.msg

    def test_with_one_label_are_an_error(self) -> None:
        make("CountUp", module="tests.testapp.others")
        (message,) = found()
        assert message.id == "upkeep.E007"
        assert message.msg == (
            "testapp.CountUp is claimed by tests.testapp.maintenance.CountUp "
            "and tests.testapp.others.CountUp."
        )

    def test_with_the_alias_of_another_are_an_error(self) -> None:
        make("Renamed", aliases=("testapp.CountUp",))
        assert ids() == ["upkeep.E007"]

    @pytest.mark.parametrize(
        ("parent", "given", "sentence"),
        [
            (
                Task,
                {"collection": lambda self: []},
                "testapp.Odd.process() is missing.",
            ),
            (
                Task,
                {"collection": lambda self: [], "process": lambda self: None},
                "testapp.Odd.process() has the wrong arguments.",
            ),
            (Job, {}, "testapp.Odd.perform() is missing."),
        ],
    )
    def test_without_what_they_need_are_an_error(
        self, parent: type[Task], given: dict[str, Any], sentence: str
    ) -> None:
        module = "tests.testapp.maintenance"
        type("Odd", (parent,), {"__module__": module, **given})
        (message,) = found()
        assert (message.id, message.msg) == ("upkeep.E009", sentence)
        assert str(message.hint).startswith("Write: def ")

    def test_whose_queue_is_not_served_are_an_error(self, settings: Settings) -> None:
        settings.TASKS = {"default": {"BACKEND": DATABASE, "QUEUES": ["default"]}}
        make("Slow", queue="slow")
        (message,) = found()
        assert message.id == "upkeep.E008"
        assert "testapp.Slow: TASKS['default'] has no queue 'slow'" in message.msg

    def test_whose_backend_is_not_there_are_an_error(self) -> None:
        make("Slow", backend="celery")
        assert ids() == ["upkeep.E008"]

    @pytest.mark.parametrize("backend", ["Dummy", "Immediate"])
    def test_on_a_backend_for_tests_are_a_warning(
        self, settings: Settings, backend: str
    ) -> None:
        path = f"{TASKS_PACKAGE}.backends.{backend.lower()}.{backend}Backend"
        settings.TASKS = {"default": {"BACKEND": path}}
        assert "upkeep.W001" in ids()


class TestDataElsewhere:
    """Beside Upkeep's tables the promise is at least once, which is told."""

    def test_is_told_of_an_atomic_task(self) -> None:
        make("Far", database="warehouse")
        (message,) = found()
        assert (message.id, message.level) == ("upkeep.I001", INFO)
        assert "testapp.Far works on the database 'warehouse'" in message.msg
        assert "at least once" in str(message.hint)

    @pytest.mark.parametrize(
        "given",
        [{}, {"database": "default"}, {"database": "warehouse", "atomic": False}],
    )
    def test_is_not_told_of_others(self, given: dict[str, Any]) -> None:
        make("Near", **given)
        assert not found()


@pytest.mark.django_db(transaction=True)
class TestEngines:
    """A table that no rollback reaches is an error, wherever there can be one."""

    def found(self, databases: list[str] | None) -> list[CheckMessage]:
        messages = run_checks(tags=[Tags.database], databases=databases)
        return [each for each in messages if str(each.id).startswith("upkeep.")]

    def test_are_right_in_the_suite(self) -> None:
        assert not self.found(["default"])

    def test_without_transactions_are_an_error(self, on_mariadb: None) -> None:
        with without_transactions("upkeep_queue"):
            (message,) = self.found(["default"])
        assert (message.id, message.level) == ("upkeep.E015", ERROR)
        assert message.msg.startswith("The table upkeep_queue is in MyISAM, ")
        assert "ALTER TABLE upkeep_queue ENGINE = InnoDB" in str(message.hint)

    def test_are_looked_at_only_with_their_database(self, on_mariadb: None) -> None:
        with without_transactions("upkeep_queue"):
            assert not self.found(None)
            assert not check_engines(None, databases=["replica"])

    def test_in_which_tables_would_be_made_are_an_error(
        self, on_mariadb: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = connections["default"]
        monkeypatch.setattr(home.features, "supports_transactions", False)
        assert not self.found(["default"])
        monkeypatch.setattr(home.introspection, "table_names", list)
        (message,) = self.found(["default"])
        assert message.id == "upkeep.E015"
        assert "DATABASES['default'] would make upkeep_" in message.msg
        assert "SET default_storage_engine = InnoDB" in str(message.hint)


class TestTime:
    def test_without_time_zones_is_an_error(self, settings: Settings) -> None:
        settings.USE_TZ = False
        assert ids() == ["upkeep.E010"]

    def test_of_a_database_in_another_zone_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = connections["default"]
        monkeypatch.setitem(home.settings_dict, "TIME_ZONE", "America/New_York")
        for cached in ("timezone", "timezone_name"):
            vars(home).pop(cached, None)
        monkeypatch.setattr(home.features, "supports_timezones", False)
        found_ids = ids()
        for cached in ("timezone", "timezone_name"):
            vars(home).pop(cached, None)
        assert found_ids == ["upkeep.E011"]


class TestLogin:
    @pytest.fixture
    def pages(self, settings: Settings) -> None:
        """Have the pages, and nothing else."""
        settings.ROOT_URLCONF = __name__

    def test_nowhere_to_be_found_is_a_warning(self, pages: None) -> None:
        assert ids() == ["upkeep.W002"]

    def test_at_an_address_of_the_project_is_right(
        self, pages: None, settings: Settings
    ) -> None:
        settings.LOGIN_URL = "/answered/by/another/server/"
        assert ids() == []

    def test_is_not_asked_for_without_pages(self, settings: Settings) -> None:
        settings.ROOT_URLCONF = "tests.testapp.models"  # It has no addresses.
        assert ids() == []


urlpatterns = [path("upkeep/", include("upkeep.urls"))]
