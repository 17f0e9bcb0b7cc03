"""Files are kept where the public cannot read them, and found again."""

import hashlib
import io
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from pytest_django import Settings

from upkeep.exceptions import VanishedReference
from upkeep.tasks.uploads import LocalFile, StoredFile, delete, save, storage

FOLDER = "django.core.files.storage.FileSystemStorage"
MEMORY = "django.core.files.storage.InMemoryStorage"


@pytest.fixture(autouse=True)
def base_dir(settings: Settings, tmp_path: Path) -> Any:
    settings.BASE_DIR = tmp_path
    return tmp_path


def folder() -> FileSystemStorage:
    found = storage()
    assert isinstance(found, FileSystemStorage)
    return found


def with_storages(settings: Settings, **more: Any) -> Any:
    settings.STORAGES = {"default": {"BACKEND": FOLDER}, **more}


class TestStorage:
    def test_without_settings_it_is_a_private_folder_of_the_project(
        self, base_dir: Path
    ) -> None:
        assert Path(folder().location) == base_dir / "upkeep-files"

    def test_no_address_leads_to_the_private_folder(self, settings: Settings) -> None:
        settings.MEDIA_URL = "/media/"
        with pytest.raises(ValueError, match="not accessible via a URL"):
            storage().url("a.csv")

    def test_only_the_owner_can_read_it(self, base_dir: Path) -> None:
        stored = save(ContentFile(b"a", name="a.csv"))
        path = base_dir / "upkeep-files" / stored.storage_name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for folder in list(path.parents)[:4]:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_an_alias_named_upkeep_comes_first(self, settings: Settings) -> None:
        with_storages(settings, upkeep={"BACKEND": MEMORY})
        assert storage() is storages["upkeep"]

    def test_the_alias_of_the_settings_comes_before_all(
        self, settings: Settings
    ) -> None:
        with_storages(settings, upkeep={"BACKEND": MEMORY}, big={"BACKEND": MEMORY})
        settings.UPKEEP = {"STORAGE": "big"}
        assert storage() is storages["big"]

    def test_where_nothing_is_set_the_error_says_what_to_set(
        self, settings: Settings
    ) -> None:
        del settings.BASE_DIR
        with pytest.raises(ImproperlyConfigured, match=r"BASE_DIR.*STORAGES.*STORAGE"):
            storage()


class TestFolder:
    """Where no storage is named, files lie in a folder of the project."""

    def test_git_is_told_to_leave_it_alone(self, settings: Any, tmp_path: Path) -> None:
        settings.BASE_DIR = tmp_path
        save(ContentFile(b"a", name="a.csv"))
        assert (tmp_path / "upkeep-files" / ".gitignore").read_text() == "*\n"


class TestSave:
    def test_what_is_saved_can_be_read_again(self) -> None:
        stored = save(ContentFile(b"a,b\n1,2\n", name="posts.csv"))
        with stored.open() as file:
            assert file.read() == b"a,b\n1,2\n"
        assert stored.name == "posts.csv"
        assert stored.size == 8
        assert stored.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()

    def test_its_name_cannot_be_guessed(self) -> None:
        names = {save(ContentFile(b"a", name="a b.csv")).storage_name for _ in "12"}
        assert len(names) == 2
        for name in names:
            assert re.fullmatch(r"\d{4}/\d\d/[0-9a-f]{32}/a_b\.csv", name)

    def test_it_is_read_in_pieces(self) -> None:
        source = Counted(b"0123456789" * 100_000)
        stored = save(File(source, name="big"))
        assert stored.size == 1_000_000
        assert source.largest_read <= File.DEFAULT_CHUNK_SIZE

    def test_a_file_that_was_read_before_is_saved_whole(self) -> None:
        file = ContentFile(b"a,b\n1,2\n", name="posts.csv")
        file.readline()
        assert save(file).size == 8

    def test_an_upload_that_lies_on_disk_is_taken_over(self) -> None:
        with TemporaryUploadedFile("a.csv", "text/csv", 3, None) as upload:
            upload.write(b"abc")
            upload.flush()
            stored = save(upload)
        with stored.open() as file:
            assert file.read() == b"abc"

    def test_a_file_is_left_open_or_closed_as_it_was_found(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"abc")
        closed = LocalFile(path)
        with File(path.open("rb")) as opened:
            save(opened)
            save(closed)
            assert not opened.closed
        assert closed.closed

    def test_a_storage_that_is_no_folder_will_do(self, settings: Settings) -> None:
        with_storages(settings, upkeep={"BACKEND": MEMORY})
        stored = save(SimpleUploadedFile("a.csv", b"abc"))
        with stored.open() as file:
            assert file.read() == b"abc"

    @pytest.mark.parametrize(
        ("name", "seen", "kept"),
        [
            ("../../etc/passwd", "passwd", "passwd"),
            ("C:\\work\\posts.csv", "posts.csv", "posts.csv"),
            ("..", "..", "file"),
            ("", "file", "file"),
            (None, "file", "file"),
            ("a\x00b\n.csv", "ab.csv", "ab.csv"),
            ("año nuevo.csv", "año nuevo.csv", "año_nuevo.csv"),
            ("\U0001f600", "\U0001f600", "file"),
            ("\ud800.csv", ".csv", "csv"),
            (".hidden", ".hidden", "hidden"),
            ("x" * 300 + ".csv", "x" * 96 + ".csv", "x" * 96 + ".csv"),
            ("é" * 300 + ".csv", "é" * 48 + ".csv", "é" * 48 + ".csv"),
            ("a." + "x" * 300, "a." + "x" * 98, "a." + "x" * 98),
        ],
    )
    def test_a_hostile_name_does_no_harm(
        self, name: str, seen: str, kept: str, base_dir: Path
    ) -> None:
        file = File(io.BytesIO(b"abc"))
        file.name = name
        stored = save(file)
        assert stored.name == seen
        assert stored.storage_name.split("/")[3:] == [kept]
        assert storage().exists(stored.storage_name)
        inside = Path(storage().path(stored.storage_name))
        assert inside.is_relative_to(base_dir / "upkeep-files")


class Counted(io.BytesIO):
    largest_read = 0

    def read(self, size: Any = -1) -> Any:
        data = super().read(size)
        self.largest_read = max(self.largest_read, len(data))
        return data


class TestStoredFile:
    def test_it_is_opened_when_it_is_first_read(self, base_dir: Path) -> None:
        stored = save(ContentFile(b"abc", name="a.csv"))
        states = [stored.closed]
        assert stored.read() == b"abc"
        states.append(stored.closed)
        stored.close()
        states.append(stored.closed)
        assert states == [True, False, True]

    def test_opening_goes_to_the_beginning(self) -> None:
        stored = save(ContentFile(b"abc", name="a.csv"))
        stored.read()
        with stored.open("rb") as again:
            assert again.read() == b"abc"
        with stored.open() as once_more:
            assert once_more.read() == b"abc"

    def test_it_is_only_read(self) -> None:
        stored = save(ContentFile(b"abc", name="a.csv"))
        with pytest.raises(ValueError, match="opened to be read"):
            stored.open("wb")

    @pytest.mark.parametrize("backend", [FOLDER, MEMORY])
    def test_one_that_is_gone_is_named(
        self, settings: Settings, base_dir: Path, backend: str
    ) -> None:
        with_storages(settings, upkeep={"BACKEND": backend})
        settings.MEDIA_ROOT = base_dir
        stored = StoredFile(name="a.csv", storage_name="gone", size=3, sha256="")
        with pytest.raises(VanishedReference, match=r"The file a\.csv is no longer"):
            stored.read()

    def test_it_can_be_deleted_twice(self) -> None:
        stored = save(ContentFile(b"abc", name="a.csv"))
        stored.read()
        delete(stored)
        delete(stored)
        assert not folder().exists(stored.storage_name)
