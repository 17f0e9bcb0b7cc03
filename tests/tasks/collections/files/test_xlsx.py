"""XLSX files, walked by row and by batch from any row of a sheet."""

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.files.base import ContentFile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.collections.files.books import SHEET, book, changed, with_rows
from tests.tasks.collections.walks import STEPS, Step, interrupted_walk, walk
from upkeep.exceptions import CursorMismatch, InvalidFile
from upkeep.forms import XLSXField
from upkeep.tasks.collections import Collection, collect
from upkeep.tasks.collections.files import FileBatches, XLSXFile, workbooks, xlsx

VALUES = st.none() | st.integers(-999, 999) | st.text("abc é", min_size=1, max_size=4)
ROWS = st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=12)
HEADER = ["a", "b", "c"]
NOON = datetime(2025, 2, 1, 12)  # noqa: DTZ001 - a sheet knows no zones


def xlsx_file(content: bytes, **options: Any) -> XLSXFile:
    return XLSXField(**options).wrap(ContentFile(content, name="posts.xlsx"))


def walked(value: XLSXFile | FileBatches) -> Collection[Any]:
    return collect(value, alias="default")


class TestWalk:
    """Every row once, wherever the walk is stopped; rows without values are none."""

    @settings(max_examples=25)
    @given(
        rows=ROWS,
        steps=STEPS,
        write_only=st.booleans(),
        batch=st.sampled_from([None, 1, 3]),
    )
    def test_every_row_once(
        self,
        rows: list[list[Any]],
        steps: list[Step],
        write_only: bool,
        batch: int | None,
    ) -> None:
        file = xlsx_file(book([HEADER, *rows], write_only=write_only))
        value = file if batch is None else file.in_batches(batch)
        steps = [(size * (batch or 1), stop, over) for size, stop, over in steps]
        done = interrupted_walk(lambda: walked(value), steps)
        if batch is not None:
            done = [row for rows_of_batch in done for row in rows_of_batch]
        filled = [row for row in rows if row != [None] * 3]
        assert [list(row.values()) for row in done] == filled

    def test_goes_on_reading_where_it_stands(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places: list[Any] = []
        go_to = xlsx.XLSXReader.go_to

        def noted(reader: xlsx.XLSXReader, place: Any) -> None:
            places.append(place)
            go_to(reader, place)

        monkeypatch.setattr(xlsx.XLSXReader, "go_to", noted)
        collection = walked(xlsx_file(book([["a"], *([n] for n in range(10))])))
        assert len(list(walk(collection, 3))) == 10
        assert places == []

    def test_reads_no_row_again_where_chunks_end_amid_pages(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows_read: list[int] = []
        read = workbooks.Workbook.rows

        def noted(book: workbooks.Workbook, part: str) -> Iterator[Any]:
            for number, cells in read(book, part):
                rows_read.append(number)
                yield number, cells

        monkeypatch.setattr(workbooks.Workbook, "rows", noted)
        rows: list[list[Any]] = [["a"], *([n] for n in range(50)), [], [50]]
        collection = walked(xlsx_file(book(rows)))
        done, cursor, last = [], None, False
        while not last:
            page = collection.page(cursor, 10)
            of_chunk = [row["a"] for row in page.items][:3]
            done += of_chunk
            cursor = page.cursor_after(len(of_chunk) - 1)
            last = page.last and len(of_chunk) == len(page.items)
        assert done == list(range(51))
        assert rows_read == sorted(set(rows_read))

    def test_gives_a_row_as_it_was_when_it_comes_again(self) -> None:
        collection = walked(xlsx_file(book([["a"], [1], [2], [3]])))
        first = collection.page(None, 1)
        collection.page(first.cursor_after(0), 2).items[0]["a"] = "spoiled"
        again = collection.page(first.cursor_after(0), 2)
        assert list(again.items) == [{"a": 2}, {"a": 3}]

    def test_is_not_disturbed_by_another_reader(self) -> None:
        file = xlsx_file(book([["a"], *([n] for n in range(3000))]))
        collection = walked(file)
        page = collection.page(None, 10)
        assert (collection.count(), file.header) == (3000, ["a"])
        rest = collection.page(page.cursor_after(9), 5000)
        assert [row["a"] for row in rest.items] == list(range(10, 3000))

    def test_beyond_the_end_is_a_mismatch(self) -> None:
        cursor = {"kind": "xlsx", "offset": 99, "line": 99}
        with pytest.raises(CursorMismatch, match=r"row 99 .* 'Posts' has only 2 rows"):
            walked(xlsx_file(book([["a"], [1]]))).page(cursor, 10)

    def test_keeps_the_rows_before_a_bad_one(self) -> None:
        collection = walked(xlsx_file(book([["a"], [1], [2, 3]])))
        page = collection.page(None, 10)
        assert (list(page.items), page.last) == ([{"a": 1}], False)
        with pytest.raises(InvalidFile, match=r"row 3: a value in column 2"):
            collection.page(page.cursor_after(0), 10)


class TestValues:
    def test_are_of_python(self) -> None:
        row = ["One", 2, 1.5, True, NOON, time(9, 30), None, ""]
        header = [f"c{number}" for number in range(len(row))]
        (found,) = xlsx_file(book([header, row]))
        assert list(found.values()) == [*row[:-1], None]

    def test_of_dates_come_as_datetimes(self) -> None:
        (found,) = xlsx_file(book([["day"], [NOON.date()]]))
        assert found == {"day": NOON.replace(hour=0)}

    def test_of_formulas_are_those_that_were_saved(self) -> None:
        rows = b'<row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>'
        assert list(xlsx_file(with_rows(rows))) == [{"a": 2}]

    def test_may_be_missing_at_the_end_of_a_row(self) -> None:
        assert list(xlsx_file(book([["a", "b"], [1]]))) == [{"a": 1, "b": None}]

    def test_have_their_columns_where_cells_are_left_out(self) -> None:
        rows = b'<row r="7"><c r="B7"><v>7</v></c></row>'
        content = changed(
            book([["a", "b"]]),
            SHEET,
            lambda data: data.replace(b"</sheetData>", rows + b"</sheetData>"),
        )
        assert list(xlsx_file(content)) == [{"a": None, "b": 7}]

    def test_of_a_row_numbered_beyond_reason_cost_nothing(self) -> None:
        rows = b'<row r="99999999999"><c><v>7</v></c></row>'
        assert list(xlsx_file(with_rows(rows))) == [{"a": 7}]


class TestSheet:
    def test_is_the_first_or_that_of_the_name(self) -> None:
        content = book([["a"], [1]], sheet="Prices")
        assert list(xlsx_file(content)) == [{"a": 1}]
        assert list(xlsx_file(content, sheet="Prices")) == [{"a": 1}]

    def test_that_is_missing_is_named_with_those_there_are(self) -> None:
        field = XLSXField(sheet="Posts")
        content = ContentFile(book([["a"]], sheet="Prices"), name="posts.xlsx")
        with pytest.raises(
            ValidationError, match=r"posts.xlsx has no sheet 'Posts'. It has: Prices"
        ):
            field.clean(content)


class TestCount:
    """What the sheet says of itself, if it does."""

    def test_is_that_of_the_dimension(self) -> None:
        file = xlsx_file(book([["a", "b"], *([n, n] for n in range(10))]))
        assert walked(file).count() == 10
        assert walked(file.in_batches(4)).count() == 3

    @pytest.mark.parametrize("dimension", [b"", b'<dimension ref="A1"/>'])
    def test_is_unknown_without(self, dimension: bytes) -> None:
        content = changed(
            book([["a"], [1], [2]]),
            SHEET,
            lambda data: re.sub(b"<dimension [^>]*>", dimension, data),
        )
        file = xlsx_file(content)
        assert walked(file).count() is None
        assert len(list(file)) == 2

    def test_that_lies_leaves_no_row_out(self) -> None:
        content = changed(
            book([["a", "b"], [1, 1], [2, 2]]),
            SHEET,
            lambda data: re.sub(b'ref="[^"]*"', b'ref="A1:A2"', data, count=1),
        )
        assert len(list(xlsx_file(content))) == 2


class TestField:
    @pytest.mark.parametrize("columns", [["a"], ["a", "c"]])
    def test_checks_the_header(self, columns: Sequence[str]) -> None:
        field = XLSXField(columns=columns)
        file = ContentFile(book([["a", "b"], [1, 2]]), name="posts.xlsx")
        if columns == ["a"]:
            assert field.clean(file)
            return
        with pytest.raises(ValidationError, match=r"header lacks: c\. It names: a, b"):
            field.clean(file)

    def test_takes_a_path_and_leaves_the_file_closed(self, tmp_path: Path) -> None:
        path = tmp_path / "posts.xlsx"
        path.write_bytes(book([["a"], [1]]))
        file = XLSXField().clean(path)
        assert file is not None
        assert (list(file), file.file.closed) == ([{"a": 1}], True)

    @pytest.mark.parametrize("missing", ["openpyxl", "defusedxml"])
    def test_without_its_packages_says_what_to_install(
        self, missing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(
            sys.modules, xlsx.WORKBOOK.rpartition(".")[0], raising=False
        )
        if missing == "openpyxl":
            monkeypatch.setitem(sys.modules, "openpyxl", None)
        else:
            monkeypatch.setattr("openpyxl.DEFUSEDXML", False)
        with pytest.raises(ImproperlyConfigured, match=r"django-upkeep\[xlsx\]"):
            XLSXField()
