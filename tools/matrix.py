"""The suite on every supported pair of Python and Django that this machine has."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.servers import DATABASES
from tools import servers
from tools.steps import ROOT, Step, run, suite

UV = str(Path(sys.executable).with_name("uv"))

# The oldest Python that a Django runs on: its release notes say so.
OLDEST_PYTHON = {"5.2": "3.10", "6.0": "3.12", "6.1": "3.12"}

Pair = tuple[str, str]  # of Python and Django, as "3.12" and "6.0"


def supported() -> list[Pair]:
    """Return the pairs that the classifiers of the project promise."""
    pythons = classified("Programming Language :: Python")
    return [
        (python, django)
        for python in pythons
        for django in classified("Framework :: Django")
        if version(python) >= version(OLDEST_PYTHON[django])
    ]


def classified(family: str) -> list[str]:
    """Return the versions x.y that the project's classifiers name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pattern = re.compile(rf"{family} :: (\d+\.\d+)$")
    return [
        found[1] for line in project["classifiers"] if (found := pattern.match(line))
    ]


def version(text: str) -> tuple[int, ...]:
    """Return a version as numbers, so that 3.9 comes before 3.10."""
    return tuple(int(part) for part in text.split("."))


def interpreter(python: str) -> str | None:
    """Return the path of a Python that works, on PATH or among those of pyenv."""
    for candidate in candidates(python):
        # A shim of pyenv may stand for no interpreter, and uv does not follow one.
        code = "import sys; print(*sys.version_info[:2], sys.executable)"
        asked = subprocess.run(
            [candidate, "-c", code], capture_output=True, text=True, check=False
        )
        if asked.stdout.startswith(python.replace(".", " ") + " "):
            return asked.stdout.split(maxsplit=2)[2].strip()
    return None


def candidates(python: str) -> Iterator[str | Path]:
    """Yield what could be an interpreter of a version."""
    if found := shutil.which(f"python{python}"):
        yield found
    for root in pyenv_roots():
        yield from root.glob(f"versions/{python}.*/bin/python{python}")


def pyenv_roots() -> list[Path]:
    """Return where pyenv keeps its interpreters, as its shims on PATH show it too."""
    path = [Path(folder) for folder in os.get_exec_path()]
    shims = [folder.parent for folder in path if folder.name == "shims"]
    return [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")), *shims]


def steps(python: str, django: str, path: str, databases: list[str]) -> Iterator[Step]:
    """Yield how a pair gets an environment of its own, and its suites there."""
    name = f"Python {python}, Django {django}"
    home = f"{ROOT}/.matrix/python{python}-django{django}"
    venv = [UV, "venv", "--quiet", "--clear", "--python", path, home]
    install = [UV, "pip", "install", "--quiet", "--python", home, "--editable", "."]
    install += ["--group", "test", "--group", "example", f"Django=={django}.*"]
    yield Step(name=f"{name}: environment", command=venv)
    yield Step(name=f"{name}: packages", command=install)
    for database in databases:
        yield suite(f"{name}: {database}", f"{home}/bin/python", database)


def chosen_databases() -> list[str]:
    """Read the databases from the command line; SQLite where there is none."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("databases", nargs="*", default=["sqlite"])
    databases: list[str] = parser.parse_args().databases
    if unknown := set(databases) - set(DATABASES):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(DATABASES)}")
    return databases


def main() -> bool:
    """Run the matrix, name what it had to leave out, and say if all passed."""
    databases = chosen_databases()
    servers.provide()
    todo: list[list[Step]] = []
    missed: list[str] = []
    for python, django in supported():
        if path := interpreter(python):
            todo += [[each] for each in steps(python, django, path, databases)]
        else:
            missed.append(
                f"Not run: Django {django} on Python {python}, not found here"
            )
    return run(*todo, notes=missed)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
