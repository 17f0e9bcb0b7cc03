"""JSON Lines files, walked by row and by batch from any place in them."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.collections.walks import STEPS, Step, interrupted_walk, walk
from upkeep.exceptions import CursorMismatch, InvalidFile
from upkeep.forms import JSONLinesField
from upkeep.tasks.collections import Collection, collect
from upkeep.tasks.collections.files import FileBatches, JSONLinesFile, lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=15)


def json_file(content: bytes, **options: Any) -> JSONLinesFile:
    return JSONLinesField(**options).wrap(ContentFile(content, name="posts.jsonl"))


def walked(value: JSONLinesFile | FileBatches) -> Collection[Any]:
    return collect(value, alias="default")


class TestWalk:
    """Every row once, wherever the walk is stopped."""

    @given(
        rows=ROWS,
        steps=STEPS,
        newline=st.sampled_from(["\n", "\r\n", "\n\n"]),
        mark=st.sampled_from(["", "\ufeff"]),
        batch=st.sampled_from([None, 1, 3]),
    )
    def test_every_row_once(
        self,
        rows: list[dict[str, Any]],
        steps: list[Step],
        newline: str,
        mark: str,
        batch: int | None,
    ) -> None:
        text = mark + "".join(json.dumps(row) + newline for row in rows)
        file = json_file(text.encode())
        value = file if batch is None else file.in_batches(batch)
        steps = [(size * (batch or 1), stop, over) for size, stop, over in steps]
        done = interrupted_walk(lambda: walked(value), steps)
        if batch is not None:
            done = [row for rows_of_batch in done for row in rows_of_batch]
        assert done == rows
        assert walked(file).count() == len(rows)

    @pytest.mark.parametrize("block", [1, 7, 1 << 16])
    def test_whatever_the_blocks(
        self, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lines, "BLOCK", block)
        content = '{"a": "é"}\r\n\r\n{"a": 2}'.encode()
        assert list(walk(walked(json_file(content)), 1)) == [{"a": "é"}, {"a": 2}]

    def test_goes_on_by_byte(self) -> None:
        cursor = (
            walked(json_file(b'{"a": 1}\n{"a": 2}\n')).page(None, 1).cursor_after(0)
        )
        assert cursor == {"kind": "jsonlines", "offset": 9, "line": 1}

    def test_beyond_the_end_is_a_mismatch(self) -> None:
        cursor = {"kind": "jsonlines", "offset": 99, "line": 3}
        with pytest.raises(CursorMismatch, match=r"byte 99 .* posts.jsonl has only 9"):
            walked(json_file(b'{"a": 1}\n')).page(cursor, 10)

    def test_keeps_the_rows_before_a_bad_one(self) -> None:
        collection = walked(json_file(b'{"a": 1}\n{"a": 2}\n{"a"}\n'))
        page = collection.page(None, 10)
        assert (list(page.items), page.last) == ([{"a": 1}, {"a": 2}], False)
        with pytest.raises(InvalidFile, match="line 3"):
            collection.page(page.cursor_after(1), 10)


class TestCount:
    def test_is_estimated_for_large_files(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lines, "COUNTED", 1000)
        monkeypatch.setattr(lines, "SAMPLE", 500)
        file = json_file(b'{"a": 1}\n' * 1000)
        assert walked(file).count() == 1000
        assert walked(file.in_batches(30)).count() == 34

    def test_does_not_look_into_the_rows(self) -> None:
        assert walked(json_file(b'{"a": 1}\n\n{"a"}\n')).count() == 2


class TestField:
    def test_gives_rows_and_batches(self) -> None:
        file = JSONLinesField().clean(ContentFile(b'{"a": 1}\n' * 3, name="x.jsonl"))
        assert isinstance(file, JSONLinesFile)
        assert (file.header, len(list(file))) == (["a"], 3)
        assert [len(batch) for batch in file.in_batches(2)] == [2, 1]

    def test_without_its_columns_starts_no_run(self) -> None:
        field = JSONLinesField(columns=["title", "slug"])
        with pytest.raises(
            ValidationError, match=r"posts\.jsonl, line 1: it lacks slug\."
        ):
            field.clean(ContentFile(b'{"title": "One"}\n', name="posts.jsonl"))

    def test_names_the_line_that_lacks_a_column(self) -> None:
        file = json_file(b'{"a": 1}\n{"b": 2}\n', columns=["a"])
        with pytest.raises(InvalidFile, match=r"posts\.jsonl, line 2: it lacks a\."):
            list(file)
