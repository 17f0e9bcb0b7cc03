"""
The direction of imports: who may know whom.

    conf, exceptions, compat <- tasks, forms <- runs <- execution <- dispatch <- others

Imports under TYPE_CHECKING may point upwards. A few files at the root gather names from
everywhere for Django or for users, and nothing below the top may lean on them.
"""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "upkeep"

LAYERS = [
    {"compat", "conf", "databases", "exceptions", "garbage", "port", "signals"},
    {"dead_letters", "forms", "tasks"},
    {"runs"},
    {"execution"},
    {"dispatch"},
    {"admin", "backends", "exports", "management", "operations", "templatetags"}
    | {"testing", "urls", "web"},
]
TOP = len(LAYERS) - 1
# "" is the root itself: `from upkeep import Task`.
FACADES = {"", "apps", "checks", "migrations", "models"}
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

# Nothing imports the pages but the list of their addresses.
WEB_USERS = {"urls", "web"}
# The two homes of Django's tasks differ in names and classes: one file knows both.
QUEUE_HOMES = {"django.tasks", "django_tasks"}


@dataclass(frozen=True)
class Import:
    """One name that a module of the package imports."""

    module: str  # the importing module, without "upkeep."
    name: str  # the full dotted name of what is imported
    line: int

    @property
    def layer(self) -> str:
        return self.module.partition(".")[0]

    @property
    def target(self) -> str:
        """The part of the package that is imported: "" for the root itself."""
        return self.name.removeprefix(PACKAGE).removeprefix(".").partition(".")[0]

    @property
    def distribution(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{PACKAGE}.{self.module}:{self.line} imports {self.name}"


def complaints(package: Path, core: set[str]) -> list[str]:
    """Return a sentence for each import that runs the wrong way."""
    found = list(imports(package))
    ours = [each for each in found if each.distribution == PACKAGE]
    return [
        *(f"{each}: {why}" for each in ours if (why := objection(each))),
        *(
            f"{each}: only compat knows where Django's tasks live"
            for each in found
            if each.module != "compat" and within(each.name, QUEUE_HOMES)
        ),
        *optional_in_two_places(found, core),
    ]


def objection(each: Import) -> str | None:
    if each.layer in FACADES:
        return None
    if each.layer not in LEVELS:
        return f"{each.layer} has no place in the order of layers"
    if each.target == "web" and each.layer not in WEB_USERS:
        return "nothing imports the pages"
    if level(each.target) > LEVELS[each.layer]:
        return f"{each.target or 'the root'} lies above {each.layer}"
    return None


def level(target: str) -> int:
    return TOP if target in FACADES else LEVELS.get(target, TOP)


def optional_in_two_places(found: list[Import], core: set[str]) -> Iterator[str]:
    """An optional dependency is imported by one module, which guards its door."""
    users = defaultdict(set)
    for each in found:
        if each.distribution not in {PACKAGE, *core, *sys.stdlib_module_names}:
            users[each.distribution].add(each.module)
    for distribution, modules in users.items():
        if len(modules) > 1:
            yield f"{distribution} is optional, yet imported by {sorted(modules)}"


def imports(package: Path) -> Iterator[Import]:
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        module = ".".join(parts).removesuffix("__init__").removesuffix(".")
        for node in running_code(ast.parse(path.read_text(), str(path))):
            for name in names(node, package):
                yield Import(module, name, node.lineno)


def running_code(tree: ast.AST) -> Iterator[ast.stmt]:
    """Walk all statements but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith(
            "TYPE_CHECKING"
        ):
            for other in node.orelse:
                yield other
                yield from running_code(other)
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from running_code(node)


def names(node: ast.stmt, package: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom) or not node.module:
        return []
    if node.module in {PACKAGE, "django"}:
        return [submodule(node.module, alias.name, package) for alias in node.names]
    return [node.module]


def submodule(parent: str, name: str, package: Path) -> str:
    """Tell `from upkeep import conf`, a module, from `from upkeep import Task`."""
    is_module = (package / name).is_dir() or (package / f"{name}.py").is_file()
    return f"{parent}.{name}" if parent == "django" or is_module else parent


def within(name: str, packages: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in packages)


@pytest.fixture
def core(pytestconfig: pytest.Config) -> set[str]:
    """The packages that every installation has."""
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())
    names = [line.partition(">")[0] for line in project["project"]["dependencies"]]
    return {name.lower().replace("-", "_") for name in names}


def test_imports_run_one_way(pytestconfig: pytest.Config, core: set[str]) -> None:
    package = pytestconfig.rootpath / "src" / PACKAGE
    assert list(imports(package))
    assert complaints(package, core) == []


class TestPlanted:
    """What this file guards against is found where it is planted."""

    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        for folder in ("tasks", "runs", "web"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "__init__.py").touch()
        (tmp_path / "conf.py").touch()
        return tmp_path

    @pytest.mark.parametrize(
        ("module", "line", "why"),
        [
            ("tasks/base.py", "from upkeep.runs.models import Run", "lies above tasks"),
            ("tasks/base.py", "import upkeep.runs.models", "lies above tasks"),
            ("tasks/base.py", "from upkeep import runs", "runs lies above tasks"),
            ("conf.py", "def late():\n    import upkeep.tasks", "lies above conf"),
            ("runs/models.py", "from upkeep import Task", "the root lies above runs"),
            ("runs/models.py", "from upkeep.models import Run", "lies above runs"),
            ("admin.py", "from upkeep.web import pages", "nothing imports the pages"),
            ("helpers.py", "import upkeep.conf", "helpers has no place in the order"),
            ("runs/queue.py", "from django.tasks import task", "only compat knows"),
            ("runs/queue.py", "from django import tasks", "only compat knows"),
            ("runs/queue.py", "import django_tasks.base", "only compat knows"),
        ],
    )
    def test_wrong_way(
        self, package: Path, core: set[str], module: str, line: str, why: str
    ) -> None:
        (package / module).write_text(line)
        (complaint,) = complaints(package, core)
        assert why in complaint

    def test_optional_dependency_in_two_modules(
        self, package: Path, core: set[str]
    ) -> None:
        for module in ("runs/one.py", "runs/two.py"):
            (package / module).write_text("import celery\nimport rich\nimport json")
        (complaint,) = complaints(package, core)
        assert "celery is optional" in complaint

    @pytest.mark.parametrize(
        ("module", "lines"),
        [
            (
                "runs/models.py",
                "from upkeep import conf\nfrom upkeep.tasks import base",
            ),
            ("models.py", "from upkeep.runs.models import Run"),
            ("urls.py", "from upkeep.web import pages"),
            ("tasks/base.py", "if TYPE_CHECKING:\n    from upkeep.runs import models"),
            ("compat.py", "from django.tasks import task\nimport django_tasks"),
            ("runs/files.py", "from django.tasksets import it\nimport celery"),
        ],
    )
    def test_right_way(
        self, package: Path, core: set[str], module: str, lines: str
    ) -> None:
        (package / module).write_text(lines)
        assert complaints(package, core) == []

    def test_else_of_type_checking_is_running_code(
        self, package: Path, core: set[str]
    ) -> None:
        (package / "conf.py").write_text(
            "if TYPE_CHECKING:\n    pass\nelse:\n    import upkeep.runs"
        )
        assert len(complaints(package, core)) == 1
