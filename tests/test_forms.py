"""CSVField, from whatever a form or a caller gives."""

import io
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.utils.datastructures import MultiValueDict

from upkeep.forms import CSVField
from upkeep.tasks.collections.files import CSVFile

CONTENT = b"title,slug\nHello,hello\n"
ROWS = [{"title": "Hello", "slug": "hello"}]


def temporary() -> TemporaryUploadedFile:
    file = TemporaryUploadedFile("posts.csv", "text/csv", len(CONTENT), None)
    file.write(CONTENT)
    file.seek(0)
    return file


class TestClean:
    """The cleaned value is a CSVFile, ready to be stored and read."""

    @pytest.mark.parametrize(
        "given",
        [
            SimpleUploadedFile("posts.csv", CONTENT),
            ContentFile(CONTENT, name="posts.csv"),
            File(io.BytesIO(CONTENT), name="posts.csv"),
            io.BytesIO(CONTENT),
            CSVFile(ContentFile(CONTENT, name="posts.csv")),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_takes_every_kind_of_binary_file(self, given: Any) -> None:
        value = CSVField().clean(given)
        assert value is not None
        assert b"".join(value.file.chunks()) == CONTENT
        assert list(value) == ROWS

    def test_takes_a_large_upload(self) -> None:
        file = temporary()
        value = CSVField().clean(file)
        assert value is not None
        assert list(value) == ROWS
        file.close()

    def test_takes_a_path_and_leaves_the_file_closed(self, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_bytes(CONTENT)
        value = CSVField().clean(path)
        assert value is not None
        assert (value.name, value.file.closed) == ("posts.csv", True)
        assert list(value) == ROWS

    def test_takes_an_open_file(self, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_bytes(CONTENT)
        with path.open("rb") as file:
            value = CSVField().clean(file)
            assert value is not None
            assert (value.name, list(value)) == ("posts.csv", ROWS)

    def test_carries_the_options(self) -> None:
        field = CSVField(delimiter=";", encoding="latin-1", strip=True)
        value = field.clean(ContentFile(b"a; b\n1; \xe9\n", name="x.csv"))
        assert value is not None
        assert list(value) == [{"a": "1", "b": "é"}]

    def test_gives_none_where_none_is_required(self) -> None:
        assert CSVField(required=False).clean(None) is None

    def test_works_in_a_form(self) -> None:
        class Upload(forms.Form):
            file = CSVField(columns=["title"])

        form = Upload(
            files=MultiValueDict({"file": [SimpleUploadedFile("posts.csv", CONTENT)]})
        )
        assert form.is_valid()
        assert list(form.cleaned_data["file"]) == ROWS


class TestRefusals:
    """A file that is no CSV file starts no run."""

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            (None, "required"),
            ("title,slug", "No file was submitted"),
            (ContentFile(b"", name="posts.csv"), "is empty"),
            (
                ContentFile(b"\n", name="posts.csv"),
                "posts.csv is empty: its first line",
            ),
            (
                ContentFile(b"\xff\xfea\0", name="posts.csv"),
                "is text in UTF-16, and not a CSV",
            ),
            (ContentFile(b"a,a\n", name="posts.csv"), "more than one column"),
            (ContentFile("a\n", name="posts.csv"), "open as text"),
            (Path("/nowhere/posts.csv"), "/nowhere/posts.csv: No such file"),
        ],
    )
    def test_are_form_errors(self, given: Any, sentence: str) -> None:
        with pytest.raises(ValidationError, match=sentence):
            CSVField().clean(given)

    def test_take_no_text_for_a_list_of_columns(self) -> None:
        for options in ({"columns": "title"}, {"names": "title"}):
            with pytest.raises(TypeError, match=r"in a list: \['title'\], not 'title'"):
                CSVField(**options)  # type: ignore[arg-type]  # as one may write it

    def test_name_the_columns_that_are_missing(self) -> None:
        field = CSVField(columns=("title", "body", "author"))
        with pytest.raises(
            ValidationError, match=r"lacks: body, author\. It names: title, slug\."
        ):
            field.clean(ContentFile(CONTENT, name="posts.csv"))

    def test_of_what_can_be_read_only_once(self) -> None:
        class Pipe(io.BytesIO):
            def seekable(self) -> bool:
                return False

        with pytest.raises(ValidationError, match="can be read only once"):
            CSVField().clean(Pipe(CONTENT))

    def test_leave_errors_of_rows_to_the_walk(self) -> None:
        assert CSVField().clean(ContentFile(b"a\n1,2\n", name="posts.csv"))
