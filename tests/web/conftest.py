"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

import pytest
from pytest_django import Settings

from tests.registering import registered
from upkeep import Task

Trial = TypeVar("Trial", bound=type[Task])

Know = Callable[[Trial], Trial]


@pytest.fixture
def known() -> Iterator[Callable[[Trial], Trial]]:
    """Return a decorator: a task made inside a test is found as one of an app is."""
    with ExitStack() as stack:

        def know(task: Trial) -> Trial:
            task.app_label = "testapp"
            stack.enter_context(registered({f"tests.{task.__name__}": task}))
            return task

        yield know


@pytest.fixture
def storage(settings: Settings) -> None:
    """Keep the files of tasks where nobody has to remove them."""
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"upkeep": memory}
