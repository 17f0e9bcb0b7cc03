"""CSV files, walked by row and by batch from any place in them."""

import csv
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.collections.walks import STEPS, Step, interrupted_walk, walk
from upkeep.exceptions import CursorMismatch, InvalidFile
from upkeep.forms import CSVField
from upkeep.tasks.collections import Collection, collect
from upkeep.tasks.collections.files import CSVFile, FileBatches, lines
from upkeep.tasks.uploads import LocalFile

# Values with everything that CSV has to quote, and letters of one and two bytes.
VALUES = st.text('ab,"\n\r é', max_size=6)
ROWS = st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=20)


class Pipes(csv.Dialect):
    """As some banks write them."""

    delimiter = "|"
    quotechar = '"'
    lineterminator = "\n"
    quoting = csv.QUOTE_MINIMAL


def csv_file(content: bytes, **options: Any) -> CSVFile:
    return CSVField(**options).wrap(ContentFile(content, name="posts.csv"))


def walked(value: CSVFile | FileBatches) -> Collection[Any]:
    return collect(value, alias="default")


def written(rows: list[list[str]], newline: str, encoding: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *rows])
    return text.getvalue().encode(encoding)


@pytest.fixture(params=[1, 7, 1 << 16], ids=lambda size: f"blocks of {size}")
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files read in blocks that end in the middle of lines and characters."""
    monkeypatch.setattr(lines, "BLOCK", request.param)


class TestWalk:
    """Every row once, wherever the walk is stopped."""

    @given(
        rows=ROWS,
        steps=STEPS,
        newline=st.sampled_from(["\n", "\r\n"]),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]),
        batch=st.sampled_from([None, 1, 3]),
    )
    def test_every_row_once(
        self,
        rows: list[list[str]],
        steps: list[Step],
        newline: str,
        encoding: str,
        batch: int | None,
    ) -> None:
        file = csv_file(written(rows, newline, encoding), encoding=encoding)
        value = file if batch is None else file.in_batches(batch)
        steps = [(size * (batch or 1), stop, over) for size, stop, over in steps]
        done = interrupted_walk(lambda: walked(value), steps)
        if batch is not None:
            done = [row for rows_of_batch in done for row in rows_of_batch]
        assert [list(row.values()) for row in done] == rows

    @pytest.mark.usefixtures("block")
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_whatever_the_ends_of_lines(self, newline: str) -> None:
        content = written([["1", "x\ny", "é"], ["2", '"', ""]], newline, "utf-8")
        rows = list(walk(walked(csv_file(content)), 1))
        assert rows == [
            {"a": "1", "b": "x\ny", "c": "é"},
            {"a": "2", "b": '"', "c": ""},
        ]

    @pytest.mark.usefixtures("block")
    def test_without_a_last_newline(self) -> None:
        assert list(csv_file(b"a\n1\n2")) == [{"a": "1"}, {"a": "2"}]

    def test_goes_on_reading_where_it_stands(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places: list[Any] = []
        go_to = lines.LineReader.go_to

        def noted(reader: lines.LineReader, place: Any) -> None:
            places.append(place)
            go_to(reader, place)

        monkeypatch.setattr(lines.LineReader, "go_to", noted)
        collection = walked(csv_file(b"a\n" + b"1\n" * 10))
        assert len(list(walk(collection, 3))) == 10
        assert places == [(0, 0)]

    def test_counts_a_page_in_rows_for_batches_too(self) -> None:
        collection = walked(csv_file(b"a\n" + b"1\n" * 10).in_batches(4))
        assert [len(batch) for batch in collection.page(None, 9).items] == [4, 4]
        assert [len(batch) for batch in collection.page(None, 1).items] == [4]

    def test_is_not_disturbed_by_another_reader(self, tmp_path: Path) -> None:
        """A task may look into its own file while it is walked."""
        path = tmp_path / "long.csv"
        path.write_text("a\n" + "1\n" * 100_000)
        file = CSVFile(LocalFile(path))
        collection = walked(file)
        page = collection.page(None, 10)
        assert (collection.count(), file.header) == (100_000, ["a"])
        assert len(list(file.in_batches(30_000))) == 4
        cursor = page.cursor_after(9)
        rows = 10
        while not page.last:
            page = collection.page(cursor, 10_000)
            rows += len(page.items)
            cursor = page.cursor_after(-1) if page.items else cursor
        collection.close()
        assert rows == 100_000

    def test_beyond_the_end_is_a_mismatch(self) -> None:
        cursor = {"kind": "csv", "offset": 99, "line": 3}
        with pytest.raises(CursorMismatch, match=r"byte 99 .* posts.csv has only 4"):
            walked(csv_file(b"a\n1\n")).page(cursor, 10)


class TestOptions:
    """How the file is written is said by the field."""

    @pytest.mark.parametrize(
        ("content", "options"),
        [
            (b"a;b\n1;x y\n", {"delimiter": ";"}),
            (b"a,b\n1,'x y'\n", {"quotechar": "'"}),
            (b"a,b\n1,x\\ y\n", {"escapechar": "\\"}),
            (b"a, b\n1, x y\n", {"skipinitialspace": True}),
            (b" a ,b\n 1,x y \n", {"strip": True}),
            (b"# by us\na,b\n# more\n1,x y\n# end\n", {"skip_lines": r"^#"}),
            (b"\n\na,b\n\n1,x y\n\n", {}),
            (b"\xef\xbb\xbfa,b\n1,x y\n", {}),
            (b"\xef\xbb\xbfa,b\n1,x y\n", {"encoding": "utf-8-sig"}),
            (b"a,b\n1,x y\n", {"encoding": "utf-8-sig"}),
            (b"a\tb\n1\tx y\n", {"dialect": "excel-tab"}),
            (b"a|b\n1|x y\n", {"dialect": Pipes}),
            (b"a|b\n1|x y\n", {"dialect": Pipes()}),
            (b"a;b\n1;x y\n", {"dialect": Pipes, "delimiter": ";"}),
            (b"1,x y\n", {"names": ["a", "b"]}),
            (
                b"\xef\xbb\xbf# by us\n1,x y\n",
                {"names": ["a", "b"], "skip_lines": "^#"},
            ),
            (b'"a","b"\n"1","x y"\n', {"quoting": csv.QUOTE_NONNUMERIC}),
            (b'a,b\n"1","x y"\n', {"quoting": csv.QUOTE_NONNUMERIC}),
        ],
    )
    def test_give_the_same_rows(self, content: bytes, options: Any) -> None:
        file = csv_file(content, **options)
        assert list(file) == [{"a": "1", "b": "x y"}]
        assert walked(file).count() == 1

    def test_no_quotation_marks(self) -> None:
        content = b'a\tb\n"1\t5" nails\n'
        rows = list(csv_file(content, delimiter="\t", quoting=csv.QUOTE_NONE))
        assert rows == [{"a": '"1', "b": '5" nails'}]

    def test_quotation_marks_that_are_not_doubled(self) -> None:
        file = csv_file(b'a\n"say \\"hi\\""\n', doublequote=False, escapechar="\\")
        assert list(file) == [{"a": 'say "hi"'}]

    def test_lines_inside_of_quotes_are_never_skipped(self) -> None:
        file = csv_file(b'a\n# out\n"x\n# in\ny"\n', skip_lines="^#")
        assert list(file) == [{"a": "x\n# in\ny"}]

    def test_strict_refuses_what_follows_a_quotation_mark(self) -> None:
        content = b'a\n"x"y\n'
        assert list(csv_file(content)) == [{"a": "xy"}]
        with pytest.raises(InvalidFile, match=r"line 2: ',' expected after"):
            list(csv_file(content, strict=True))

    def test_numbers_without_quotation_marks(self) -> None:
        file = csv_file(
            b'name,price\n" one ",1.5\n', quoting=csv.QUOTE_NONNUMERIC, strip=True
        )
        assert list(file) == [{"name": "one", "price": 1.5}]
        with pytest.raises(InvalidFile, match=r"line 2: could not convert .* quoted"):
            list(csv_file(b"name\none\n", quoting=csv.QUOTE_NONNUMERIC))

    @pytest.mark.skipif(
        sys.version_info < (3, 13),
        reason="by design: the csv module knows them from Python 3.13 on",
    )
    def test_values_that_are_null(self) -> None:
        quoting = csv.QUOTE_NOTNULL  # type: ignore[attr-defined,unused-ignore]
        file = csv_file(b'a,b\n"",\n', quoting=quoting)
        assert list(file) == [{"a": "", "b": None}]

    def test_the_ends_of_lines_are_known_whatever_the_dialect_says(self) -> None:
        with pytest.raises(TypeError, match="lineterminator"):
            CSVField(lineterminator=";")
        assert list(csv_file(b"a|b\r1|2\r\n", dialect=Pipes)) == [{"a": "1", "b": "2"}]

    @given(rows=ROWS, steps=STEPS)
    def test_names_of_a_file_without_a_header_leave_no_row_out(
        self, rows: list[list[str]], steps: list[Step]
    ) -> None:
        _, content = written(rows, "\n", "utf-8").split(b"\n", 1)
        file = csv_file(content, names=["a", "b", "c"])
        done = interrupted_walk(lambda: walked(file), steps)
        assert [list(row.values()) for row in done] == rows
        assert walked(file).count() == len(rows)

    def test_names_are_checked_by_the_first_row(self) -> None:
        field = CSVField(names=["a", "b"])
        with pytest.raises(
            ValidationError, match=r"line 1: .* the names have length 2"
        ):
            field.clean(ContentFile(b"1;2\n", name="posts.csv"))
        assert field.clean(ContentFile(b"1,2\n", name="posts.csv"))


class TestErrors:
    """A file that cannot be read says where, and what to do."""

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "^posts.csv is empty: its first line must name the columns"),
            (b"\n\n", "^posts.csv is empty"),
            (b"a,b,a\n", "^posts.csv, line 1: more than one column is named 'a'"),
            (
                b"a,b\n1,2\n3\n",
                "^posts.csv, line 3: a row of length 1, .* header has length 2",
            ),
            (b"a\n1\n2,3\n", "line 3: a row of length 2, .* holds ',' must be quoted"),
            (b'a\n"1\n\n"\n2,3\n', "line 5: a row of length 2"),
            (b"a\n1\n\xe9\n", "line 3: byte 0xE9 at position 1 is not utf-8.*cp1252"),
            (b"a\nx\x00\n", "line 2: a NUL byte"),
            (b'a\n1\n"2\n3\n', "line 3: a quoted value begins here and never ends"),
            (b"a,,b\n", "^posts.csv, line 1: column 2 has no name"),
            (b"a" + b",a" * 1000, "^posts.csv has 1,001 columns, more than the 1,000"),
            (b'a\n"' + b"x\n" * 70_000, "line 2: field larger than field limit"),
        ],
    )
    def test_names_the_line(self, content: bytes, sentence: str) -> None:
        with pytest.raises(InvalidFile, match=sentence):
            list(csv_file(content))

    def test_of_a_file_without_lines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file without newlines does not fill the memory."""
        monkeypatch.setattr(lines, "LONGEST", 100_000)
        with pytest.raises(InvalidFile, match="line 2: no end of the line"):
            list(csv_file(b"a\n" + b"x" * 200_000))

    def test_of_a_file_that_is_open_as_text(self) -> None:
        with pytest.raises(InvalidFile, match="open as text: open it with mode 'rb'"):
            list(CSVFile(ContentFile("a\n1\n")))

    def test_keeps_the_rows_before_it(self) -> None:
        collection = walked(csv_file(b"a\n1\n2\n3,4\n5\n"))
        page = collection.page(None, 10)
        assert (list(page.items), page.last) == ([{"a": "1"}, {"a": "2"}], False)
        for _ in range(2):  # and every attempt to go on
            with pytest.raises(InvalidFile, match="line 4"):
                collection.page(page.cursor_after(1), 10)

    def test_keeps_the_batches_before_it(self) -> None:
        collection = walked(csv_file(b"a\n1\n2\n3\n4,4\n").in_batches(2))
        page = collection.page(None, 10)
        assert (list(page.items), page.last) == ([[{"a": "1"}, {"a": "2"}]], False)
        with pytest.raises(InvalidFile, match="line 5"):
            collection.page(page.cursor_after(0), 10)

    def test_of_the_storage_is_never_taken_for_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "posts.csv"
        path.write_text("a\n" + "1\n" * 50_000)
        collection = walked(CSVFile(LocalFile(path)))
        cursor = collection.page(None, 10).cursor_after(9)
        with monkeypatch.context() as patch:
            patch.setattr(lines.LineReader, "_read_block", fail)
            with pytest.raises(OSError, match="gone"):
                collection.page(cursor, 50_000)
        assert len(collection.page(cursor, 50_000).items) == 49_990
        collection.close()

    @pytest.mark.parametrize(
        ("encoding", "sentence"),
        [
            (
                "utf-16",
                "its lines do not end in the byte 0x0A. Save such files as UTF-8",
            ),
            ("utf-32-le", "in utf-32-le cannot be read from its middle"),
            ("cp500", "do not end in the byte"),
            ("base64", "'base64' is no text encoding"),
            ("klingon", "'klingon' is no text encoding"),
        ],
    )
    def test_of_encodings_come_with_the_field(
        self, encoding: str, sentence: str
    ) -> None:
        with pytest.raises(ValueError, match=sentence):
            CSVField(encoding=encoding)

    def test_of_a_record_without_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Quoted newlines, each value short, do not fill the memory either."""
        monkeypatch.setattr(lines, "LONGEST", 100_000)
        with pytest.raises(InvalidFile, match="line 2: no end of the quoted value or"):
            list(csv_file(b"a\n" + b'"\n",' * 100_000))

    @pytest.mark.parametrize("names", [["a", "a"], ["a", ""]])
    def test_of_names_come_with_the_field(self, names: list[str]) -> None:
        with pytest.raises(ValueError, match="Each column needs a name of its own"):
            CSVField(names=names)

    def test_of_dialects_come_with_the_field(self) -> None:
        with pytest.raises(ValueError, match=r"unknown dialect: 'tabs'.*excel-tab"):
            CSVField(dialect="tabs")

    def test_of_options_come_with_the_field(self) -> None:
        with pytest.raises(TypeError, match="1-character string"):
            CSVField(delimiter="||")

    def test_of_batch_sizes(self) -> None:
        with pytest.raises(ValueError, match="at least 1 row, not 0"):
            csv_file(b"a\n").in_batches(0)


class TestCount:
    """Exact where that is quick, estimated where it is not."""

    def test_is_exact(self) -> None:
        file = csv_file(b'a,b\n1,"x\ny"\n\n2,\n3,z')
        assert walked(file).count() == 3
        assert walked(file.in_batches(2)).count() == 2
        assert walked(csv_file(b"a\n1\n2\n3\n4\n").in_batches(2)).count() == 2
        assert walked(csv_file(b"a\n")).count() == 0
        assert walked(csv_file(b"a\n").in_batches(2)).count() == 0

    def test_is_estimated_for_large_files(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lines, "COUNTED", 1000)
        monkeypatch.setattr(lines, "SAMPLE", 500)
        file = csv_file(b"a,b\n" + b"1234,5678\n" * 1000)
        assert walked(file).count() == 1000

    def test_is_not_led_astray_by_newlines_in_values(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lines, "COUNTED", 1000)
        monkeypatch.setattr(lines, "SAMPLE", 500)
        file = csv_file(b"a,b\n" + b'"1\n2\n3","4\n\n5"\n' * 1000)
        assert walked(file).count() == 1000
        assert walked(file.in_batches(7)).count() == 143

    def test_leaves_the_errors_of_rows_to_the_rows(self) -> None:
        assert walked(csv_file(b"a\n1\n2,3\n")).count() == 2
        assert walked(csv_file(b"a\n1\n\xff\n")).count() is None


class TestFile:
    """A CSVFile can be used alone, and leaves its file as it was."""

    def test_gives_rows_and_batches(self) -> None:
        file = csv_file(b"a\n1\n2\n3\n")
        assert [row["a"] for row in file] == ["1", "2", "3"]
        assert [len(batch) for batch in file.in_batches(2)] == [2, 1]

    def test_that_was_closed_is_closed_again(self, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_bytes(b"a\n1\n")
        file = CSVFile(LocalFile(path))
        collection = walked(file)
        assert (list(file), collection.count(), file.header) == ([{"a": "1"}], 1, ["a"])
        assert file.file.closed
        collection.page(None, 10)
        collection.close()
        assert file.file.closed

    def test_that_was_open_stays_open(self) -> None:
        """The file of an upload cannot be opened again."""
        content = io.BytesIO(b"a\n1\n")
        collection = walked(CSVFile(File(content, name="posts.csv")))
        collection.page(None, 10)
        collection.close()
        assert not content.closed


def fail(*_: Any) -> bytes:
    raise OSError("gone")
