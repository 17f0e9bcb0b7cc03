"""Which tasks there are: found in the apps, known by their labels."""

from __future__ import annotations

import pkgutil
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.signals import setting_changed
from django.utils.module_loading import module_has_submodule

from upkeep.conf import conf
from upkeep.exceptions import InvalidTask, TaskNotFound

if TYPE_CHECKING:
    from types import ModuleType

    from upkeep.tasks.base import Task

_classes: dict[str, type[Task]] = {}  # by module and qualified name, as imported


def register(task: type[Task]) -> None:
    """Note a task class when it is made; a worker could not find one in a function."""
    if not task.abstract and "<locals>" not in task.__qualname__:
        _classes[f"{task.__module__}.{task.__qualname__}"] = task
        forget()


def discover() -> None:
    """Import the tasks of all installed apps, from modules and nested packages."""
    name: object = conf.TASKS_MODULE
    if not isinstance(name, str) or not name:
        return  # A system check speaks of it, and must come to do so.
    for config in apps.get_app_configs():
        if config.module and module_has_submodule(config.module, name):
            _import_with_submodules(f"{config.name}.{name}")


def _import_with_submodules(name: str) -> None:
    module: ModuleType = import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        import_module(found.name)


@dataclass(frozen=True, slots=True)
class _Index:
    """The classes by the names that they are asked for; made once, used often."""

    by_label: dict[str, type[Task]]
    by_name: dict[str, type[Task]]  # Also by aliases.


@cache
def _index() -> _Index:
    by_label: dict[str, type[Task]] = {}
    for task in _classes.values():
        with suppress(InvalidTask):  # A system check speaks of it.
            by_label[task.label()] = task
    by_alias = {name: task for task in by_label.values() for name in task.aliases}
    return _Index(dict(sorted(by_label.items())), by_alias | by_label)


def forget() -> None:
    """Have the names asked for anew: there is another class, or another app."""
    _index.cache_clear()
    app_label_of.cache_clear()


@cache
def app_label_of(module: str) -> str | None:
    """Return the label of the app that holds a module; None where none does."""
    config = apps.get_containing_app_config(module)
    return config.label if config else None


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "INSTALLED_APPS":
        forget()


setting_changed.connect(_forget, dispatch_uid="upkeep.tasks.registry")


def tasks() -> list[type[Task]]:
    """Return all tasks, in the order of their labels."""
    return list(_index().by_label.values())


def labels() -> dict[str, type[Task]]:
    """Return the tasks by label; of two with one label, the one found last."""
    return dict(_index().by_label)


def find(label: str) -> type[Task] | None:
    """Return the task with that label or alias; None where there is none."""
    return _index().by_name.get(label)


def get(label: str) -> type[Task]:
    """Return the task with that label or alias. Raises TaskNotFound."""
    if task := find(label):
        return task
    raise TaskNotFound(
        f"There is no task {label!r}. {_nearest(label)}"
        f"Tasks live in <app>/{conf.TASKS_MODULE}.py of an installed app; a process "
        "knows those that were there when it was started."
    )


def _nearest(label: str) -> str:
    near = get_close_matches(label, _index().by_label, n=1)
    return f"Did you mean {near[0]}? " if near else ""


def clashes() -> list[str]:
    """Return a sentence for every label or alias that two tasks claim."""
    owners: dict[str, list[str]] = {}
    for path, task in _classes.items():
        with suppress(InvalidTask):
            for label in (task.label(), *task.aliases):
                owners.setdefault(label, []).append(path)
    return [
        f"{label} is claimed by {' and '.join(paths)}."
        for label, paths in sorted(owners.items())
        if len(paths) > 1
    ]


def lost() -> list[str]:
    """Return a sentence for every task that has no label."""
    sentences = []
    for task in _classes.values():
        try:
            task.label()
        except InvalidTask as error:
            sentences.append(str(error))
    return sentences
