"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from pytest_django import Settings

from upkeep import Task
from upkeep.tasks import registry

Trial = TypeVar("Trial", bound=type[Task])

Know = Callable[[Trial], Trial]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trial], Trial]:
    """Return a decorator: a task made inside a test is found as one of an app is."""

    def know(task: Trial) -> Trial:
        task.app_label = "testapp"
        monkeypatch.setitem(registry._classes, f"tests.{task.__name__}", task)
        return task

    return know


@pytest.fixture
def storage(settings: Settings) -> None:
    """Keep the files of tasks where nobody has to remove them."""
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"upkeep": memory}
