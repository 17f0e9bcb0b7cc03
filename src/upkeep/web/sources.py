"""The source of a task, coloured for its page."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterator
from itertools import accumulate
from textwrap import dedent
from types import NoneType
from typing import TYPE_CHECKING, Any

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

from upkeep.tasks.masks import FILTERED, mask_text, masked_names, secrets_of

if TYPE_CHECKING:
    from upkeep.tasks.base import Task


def source_of(task: type[Task]) -> SafeString | None:
    """Return the class as HTML; None where it has no source, as one made by hand."""
    masked = masked_names(task.fields, task.masked)
    try:
        code = dedent(inspect.getsource(task))
        code = _without_literals(code, masked) if masked else code
    except (OSError, TypeError, SyntaxError):  # Some code cannot stand by itself.
        return None
    code = mask_text(code, secrets_of(_initials(task), task.masked))
    formatter = HtmlFormatter(nowrap=True, classprefix="code-")
    return mark_safe(highlight(code, PythonLexer(), formatter))  # noqa: S308 - Pygments escapes it


def _initials(task: type[Task]) -> dict[str, Any]:
    """Return what parameters are where nobody gives them; it may stand in the code."""
    return {
        name: field.initial
        for name, field in task.fields.items()
        if not callable(field.initial)
    }


# What stands in the code of a masked parameter: its initial value may be made of it, be
# it here, in a constant of the class that it names, or in a function.

# These are there to be read, and stand in the form.
TOLD = {"help_text", "label", "error_messages"}


def _without_literals(code: str, names: Collection[str]) -> str:
    """Return the code of a class without the values by which it declares the names."""
    text, lines = code.encode(), code.encode().splitlines(keepends=True)
    starts = list(accumulate(map(len, lines), initial=0))
    spans = [
        (
            starts[node.lineno - 1] + node.col_offset,
            starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0),
        )
        for node in _literals(ast.parse(code), set(names))
    ]
    for begin, end in sorted(spans, reverse=True):
        text = text[:begin] + f'"{FILTERED}"'.encode() + text[end:]
    return text.decode()


def _literals(tree: ast.Module, wanted: set[str]) -> Iterator[ast.expr]:
    """Yield what is written out in the statements that bind the names, or theirs."""
    (made,) = tree.body
    rest = list(made.body) if isinstance(made, ast.ClassDef) else []
    while found := [each for each in rest if _bound_by(each) & wanted]:
        rest = [each for each in rest if each not in found]
        for statement in found:
            nodes = list(_parts(statement))
            wanted = wanted | set(map(_name, nodes))
            yield from (each for each in nodes if _is_value(each))


def _name(node: ast.AST) -> str:
    """Return the name by which another statement may be meant."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _bound_by(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Assign(targets=targets):
            inside = [each for target in targets for each in ast.walk(target)]
            return {each.id for each in inside if isinstance(each, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.FunctionDef(name=name):
            return {name}
    return set()


def _parts(node: ast.AST) -> Iterator[Any]:
    """Yield the nodes below, but for what is to be read, and texts in one piece."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword) and child.arg in TOLD:
            continue
        yield child
        if not isinstance(child, ast.JoinedStr):
            yield from _parts(child)


def _is_value(node: Any) -> bool:
    """Tell a value that is written out; None, True and False tell nothing."""
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, bool | NoneType)
    return isinstance(node, ast.JoinedStr)
