"""Files are kept where the public cannot read them, and found again."""

import gc
import hashlib
import io
import re
import stat
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from pytest_django import Settings

from tests.streams import FarStorage
from tests.tasks.collections.files.books import book
from tests.tasks.collections.walks import walk
from tests.testapp.maintenance import ImportItems
from upkeep.exceptions import InvalidParameters, StorageFailed, VanishedReference
from upkeep.execution.executor import execute
from upkeep.forms import CSVField, JSONLinesField, XLSXField
from upkeep.tasks import uploads
from upkeep.tasks.collections import collect
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


class TestFarStorage:
    """A storage that streams is read once, into a file that is gone afterwards."""

    @pytest.fixture
    def far(self, settings: Settings) -> FarStorage:
        with_storages(settings, upkeep={"BACKEND": "tests.streams.FarStorage"})
        found = storages["upkeep"]
        assert isinstance(found, FarStorage)
        return found

    def test_gives_files_in_which_one_can_go_back(self, far: FarStorage) -> None:
        stored = save(ContentFile(b"0123456789" * 1000, name="a.csv"))
        assert stored.read()[-3:] == b"789"
        stored.seek(9_998)
        assert stored.read() == b"89"
        stored.close()
        assert far.given == 1

    @pytest.mark.parametrize(
        ("field", "content"),
        [
            (CSVField(), b"a\n" + b"1\n" * 5000),
            (JSONLinesField(), b'{"a": 1}\n' * 5000),
            (XLSXField(), book([["a"], *([n] for n in range(5000))])),
        ],
        ids=["CSV", "JSON Lines", "XLSX"],
    )
    def test_is_asked_once_by_a_worker(
        self, far: FarStorage, field: Any, content: bytes
    ) -> None:
        stored = save(ContentFile(content, name="f"))
        file = field.wrap(stored)
        walked = collect(file, alias="default")
        assert collect(file, alias="default").count() == 5000
        assert (file.header, len(list(file))) == (["a"], 5000)
        assert len(list(walk(walked, 100))) == 5000
        walked.close()
        assert far.given == 1
        assert stored.closed

    @pytest.mark.django_db(transaction=True)
    def test_is_asked_once_for_a_run(self, far: FarStorage) -> None:
        content = b"name,n\n" + b"".join(b"%d,1\n" % n for n in range(100))
        run = ImportItems.run_now(csv_file=ContentFile(content, name="items.csv"))
        assert (run.status, run.done, run.total) == ("succeeded", 100, 100)
        assert far.given == 1

    @pytest.mark.django_db(transaction=True)
    def test_that_fails_under_a_run_is_its_error(
        self, far: FarStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(far, "breaks_at", 0)
        file = ContentFile(b"name,n\na,1\n", name="items.csv")
        run = ImportItems.run_now(csv_file=file)
        assert (run.status, run.done) == ("errored", 0)
        assert run.error_class == "upkeep.exceptions.StorageFailed"
        assert "items.csv: ConnectionResetError: the peer is gone" in run.error_message

    def test_leaves_nothing_behind(
        self, far: FarStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = spools(monkeypatch)
        stored = save(ContentFile(b"abc", name="a.csv"))
        stored.read()
        stored.close()
        forgotten = save(ContentFile(b"abc", name="a.csv"))
        forgotten.read()
        del forgotten
        gc.collect()
        assert [spool.closed for spool in made] == [True, True]

    @pytest.mark.parametrize(
        ("trouble", "sentence"),
        [
            ({"breaks_at": 3000}, "ConnectionResetError: the peer is gone"),
            ({"cuts_off": 3000}, "it gave 3,000 bytes of 10,000"),
        ],
        ids=["breaks off", "ends too early"],
    )
    def test_that_fails_in_the_midst_leaves_nothing_half(
        self,
        far: FarStorage,
        trouble: dict[str, int],
        sentence: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        made = spools(monkeypatch)
        stored = save(ContentFile(b"0123456789" * 1000, name="a.csv"))
        with monkeypatch.context() as patch:
            for name, value in trouble.items():
                patch.setattr(far, name, value)
            with pytest.raises(StorageFailed, match=rf"the file a\.csv: {sentence}"):
                stored.read()
            assert stored.closed
            assert [spool.closed for spool in made] == [True]
        assert len(stored.read()) == 10_000
        stored.close()


class TestCutOff:
    """A file that lost its end is never taken for a whole one."""

    content = b"name,n\n" + b"".join(b"%d,1\n" % n for n in range(100, 200))

    @pytest.mark.parametrize("size", [0, 7, 301, 302, 606])
    @pytest.mark.django_db(transaction=True)
    def test_ends_the_run_as_errored(self, size: int) -> None:
        run = ImportItems.enqueue(csv_file=ContentFile(self.content, name="a.csv"))
        place = folder().path(run.parameters["csv_file"]["$file"])
        Path(place).write_bytes(self.content[:size])
        execute(run.pk, run.lease_token, to_the_end=True)
        run.refresh_from_db()
        assert (run.status, run.done) == ("errored", 0)
        assert f"a.csv: it gave {size} bytes of 607" in run.error_message

    @pytest.mark.parametrize("cut", [301, 302])
    def test_while_it_is_walked_gives_no_half_row(self, cut: int) -> None:
        stored = save(ContentFile(self.content, name="a.csv"))
        collection = collect(CSVField().wrap(stored), alias="default")
        page = collection.page(None, 10)
        Path(folder().path(stored.storage_name)).write_bytes(self.content[:cut])
        reader = CSVField().wrap(LocalFile(Path(folder().path(stored.storage_name))))
        reader.file.size = len(self.content)
        with pytest.raises(StorageFailed, match=f"{cut} bytes of 607"):
            list(reader)
        assert len(page.items) == 10
        collection.close()


def spools(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the temporary files that will be made from now on."""
    made: list[Any] = []

    def make() -> Any:
        made.append(TemporaryFile())  # noqa: SIM115 - whether it is closed is tested
        return made[-1]

    monkeypatch.setattr(uploads, "TemporaryFile", make)
    return made


class TestLimit:
    def test_refuses_a_larger_file_of_any_field_and_keeps_nothing(
        self, settings: Settings, base_dir: Path
    ) -> None:
        settings.UPKEEP = {"MAX_UPLOAD": 5}
        with pytest.raises(InvalidParameters, match=r"a\.csv has .* allows 5\."):
            save(ContentFile(b"abcdef", name="a.csv"))
        assert not (base_dir / "upkeep-files").exists()
        assert save(ContentFile(b"abcde", name="a.csv")).size == 5

    def test_may_be_none(self, settings: Settings) -> None:
        settings.UPKEEP = {"MAX_UPLOAD": None}
        assert save(ContentFile(b"abcdef", name="a.csv")).size == 6


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

    def test_takes_its_folder_with_it(self, base_dir: Path) -> None:
        delete(save(ContentFile(b"abc", name="a.csv")))
        assert not any((base_dir / "upkeep-files").glob("*/*/*"))
