"""Which tests there are, by the names that pages and maps call them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def is_a_test(name: str) -> bool:
    """Tell whether `path::Class::test` names one; the path begins in this folder."""
    path, _, _ = name.partition("::")
    return name in contents_of(path)


@cache
def contents_of(path: str) -> frozenset[str]:
    """Return the tests of a file, and none where there is no such file."""
    file = TESTS / path
    if not file.is_file():
        return frozenset()
    return frozenset(_contents(ast.parse(file.read_text(encoding="utf-8")), path))


def _contents(scope: ast.Module | ast.ClassDef, name: str) -> Iterator[str]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            yield from _contents(node, f"{name}::{node.name}")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield f"{name}::{node.name}"
