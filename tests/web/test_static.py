"""The static files: ours, and those that others wrote."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

import upkeep

FOLDER = Path(upkeep.__file__).parent / "static" / "upkeep"
OURS = sorted(path.name for path in FOLDER.glob("*.*") if path.name != "htmx.min.js")


@pytest.fixture
def row() -> list[str]:
    """Return what is said of htmx, column by column."""
    lines = (FOLDER / "VENDORED.md").read_text().splitlines()
    (line,) = [each for each in lines if each.startswith("| `htmx.min.js`")]
    return [cell.strip(" `") for cell in line.strip("|").split("|")]


def test_htmx_is_the_version_that_is_named(row: list[str]) -> None:
    script = (FOLDER / row[0]).read_text()
    assert re.findall(r'version:"([\d.]+)"', script) == [row[2]] == ["2.0.11"]


def test_htmx_is_as_it_came(row: list[str]) -> None:
    assert sha256((FOLDER / row[0]).read_bytes()).hexdigest() == row[-1]


def test_htmx_names_its_license(row: list[str]) -> None:
    assert (row[1], row[3]) == ("htmx.org", "0BSD")


def test_nothing_else_is_vendored_without_a_word() -> None:
    assert {path.suffix for path in FOLDER.glob("*.min.*")} == {".js"}


@pytest.mark.parametrize("name", [name for name in OURS if name != "VENDORED.md"])
def test_ours_fetch_nothing_from_elsewhere(name: str) -> None:
    text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(\s*['\"]?//", text)
    assert "eval(" not in text
    assert "innerHTML" not in text
