"""Files that tasks receive: where they are kept, and how they are read again."""

from __future__ import annotations

import hashlib
import re
import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from os import SEEK_END
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ImproperlyConfigured
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import connections
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from upkeep.conf import conf
from upkeep.databases import home
from upkeep.exceptions import InvalidParameters, StorageFailed, VanishedReference

#: Room for a folder and a random part in a storage that takes 255 bytes for a name.
LONGEST_NAME = 100


class LazyFile(File):  # type: ignore[type-arg]  # not subscriptable at run time
    """A file that is opened when it is first read, and can be opened again."""

    # Unlike File, which wants the open file when it is made.
    def __init__(self, name: str) -> None:
        self.name = name
        self.mode = "rb"
        self._opened: IO[bytes] | File[bytes] | None = None

    def _open(self) -> IO[bytes] | File[bytes]:
        raise NotImplementedError

    @property
    def file(self) -> Any:  # type: ignore[override]
        """The open file; asking for it opens it."""
        if self._opened is None or self._opened.closed:
            self._opened = self._open()
        return self._opened

    @property
    def closed(self) -> bool:
        """Whether no open file is held."""
        return self._opened is None or self._opened.closed

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> LazyFile:
        """Go to the beginning; only reading is possible."""
        if mode not in {None, "rb"}:
            raise ValueError(f"{self.name} can only be opened to be read, as 'rb'.")
        self.seek(0)
        return self

    def close(self) -> None:
        """Close the open file, if there is one."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None


class LocalFile(LazyFile):
    """A file on this machine that is about to be given to a task."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.name)
        self.path = path
        self.size = path.stat().st_size

    def _open(self) -> IO[bytes]:
        return self.path.open("rb")


class StoredFile(LazyFile):
    """
    A file in the storage of Upkeep; `size` is in bytes, `sha256` in hex digits.

    A storage that gives its files as streams is read once, into a temporary file that
    is gone when this file is closed or forgotten.
    """

    def __init__(self, *, name: str, storage_name: str, size: int, sha256: str) -> None:
        super().__init__(name)
        self.storage_name = storage_name
        self.size = size
        self.sha256 = sha256

    @property
    def is_far(self) -> bool:
        """Whether to open it again would be to fetch it again."""
        return not isinstance(storage(), FileSystemStorage)

    def _open(self) -> IO[bytes] | File[bytes]:
        try:
            opened = storage().open(self.storage_name, "rb")
        except FileNotFoundError as error:
            raise VanishedReference(
                f"The file {self.name} is no longer in the storage: {self.storage_name}"
                " is missing. Start the task again with the file."
            ) from error
        except OSError as error:
            raise self._broken_off(error) from error
        found = self._whole(opened) if opened.seekable() else self._spooled(opened)
        if self.is_far:  # It may stay open until nobody knows it any more.
            weakref.finalize(self, found.close)
        return found

    def _whole(self, opened: File[bytes]) -> File[bytes]:
        try:
            opened.seek(0, SEEK_END)
            self._check_whole(opened.tell())
            opened.seek(0)
        except (OSError, StorageFailed):
            opened.close()
            raise
        return opened

    def _spooled(self, stream: File[bytes]) -> IO[bytes]:
        spool = TemporaryFile()  # noqa: SIM115  # closed with this file
        try:
            with stream:
                copyfileobj(stream, spool)
            self._check_whole(spool.tell())
        except BaseException as error:
            spool.close()
            if not isinstance(error, Exception) or isinstance(error, StorageFailed):
                raise
            raise self._broken_off(error) from error
        spool.seek(0)
        return spool

    def read(self, *size: int) -> bytes:
        """Return the next bytes. Raises StorageFailed."""
        with self._telling():
            found: bytes = self.file.read(*size)
        return found

    def seek(self, *place: int) -> int:
        """Go to another place. Raises StorageFailed."""
        with self._telling():
            reached: int = self.file.seek(*place)
        return reached

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell of what breaks off; who goes on reading has the file opened anew."""
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self.close()
            self._opened = None
            raise self._broken_off(error) from error

    def _broken_off(self, error: BaseException) -> StorageFailed:
        return StorageFailed.told(self.name, f"{type(error).__name__}: {error}")

    def _check_whole(self, size: int) -> None:
        if size != self.size:
            raise StorageFailed.cut_off(self.name, size, self.size)


def storage() -> Storage:
    """Return where files are kept: never a place that the public can read."""
    if conf.STORAGE is not None:
        return storages[conf.STORAGE]
    if "upkeep" in settings.STORAGES:
        return storages["upkeep"]
    return _private_folder(str(_base_directory() / "upkeep-files"))


def save(file: File[bytes], *, storage_name: str = "") -> StoredFile:
    """Copy a file into the storage, in pieces, under a name that nobody can guess."""
    was_closed = file.closed
    try:
        size, sha256 = _measure(file)
        name = original_name(file.name)
        storage_name = storage().save(storage_name or _new_storage_name(name), file)
    finally:
        # A lazy file opens again by itself; any other is left as it was found.
        if was_closed or isinstance(file, LazyFile):
            file.close()
    return StoredFile(name=name, storage_name=storage_name, size=size, sha256=sha256)


def delete(stored: StoredFile) -> None:
    """Remove a file from the storage; one that is gone already is no error."""
    stored.close()
    remove(stored.storage_name)


def remove(storage_name: str) -> None:
    """Remove what bears a name of ours, with the folder that it alone was in."""
    place = storage()
    place.delete(storage_name)
    if isinstance(place, FileSystemStorage):  # Others have no folders that stay.
        with suppress(OSError):
            place.delete(str(PurePosixPath(storage_name).parent))


def public_address() -> str | None:
    """Return an address at which the public could read a file, if there is one."""
    try:
        place = storage()
        address = place.url(_new_storage_name("file"))
    except Exception:  # noqa: BLE001 - a check must not fail where a storage is away
        return None
    is_signed = "?" in address
    if isinstance(place, FileSystemStorage) and place.base_url == settings.MEDIA_URL:
        # That is what FileSystemStorage falls back on, wherever the files are.
        in_media = Path(place.location).is_relative_to(Path(settings.MEDIA_ROOT))
        return address if settings.MEDIA_ROOT and in_media else None
    return None if is_signed else address


def too_large(name: str, size: int) -> str | None:
    """Say that a file is larger than the settings allow, if it is."""
    limit = conf.MAX_UPLOAD
    if limit is None or size <= limit:
        return None
    return (
        f'{name} has {size:,} bytes or more, and UPKEEP["MAX_UPLOAD"] allows {limit:,}.'
    )


def original_name(name: str | None) -> str:
    """Return what people see of a file's name: its last part, without surprises."""
    last = re.split(r"[/\\]", name or "")[-1]
    visible = "".join(character for character in last if character.isprintable())
    return _shortened(visible.strip()) or "file"


# The private folder


class PrivateFolder(FileSystemStorage):
    """A folder that no address leads to and that only its owner can read."""

    base_url = None  # type: ignore[assignment]  # FileSystemStorage falls back on MEDIA_URL

    def save(
        self, name: str | None, content: IO[Any], max_length: int | None = None
    ) -> str:
        """Save a file, and see that none of them gets into the project's repository."""
        if not self.exists(".gitignore"):
            super().save(".gitignore", ContentFile(b"*\n"))
        return super().save(name, content, max_length)


@cache
def _private_folder(location: str) -> PrivateFolder:
    return PrivateFolder(
        location=location, file_permissions_mode=0o600, directory_permissions_mode=0o700
    )


def _base_directory() -> Path:
    base_dir = getattr(settings, "BASE_DIR", None)
    if base_dir is None:
        raise ImproperlyConfigured(
            "Upkeep does not know where to keep the files that tasks receive. Set "
            'BASE_DIR, add an alias "upkeep" to STORAGES, or name it in '
            'UPKEEP["STORAGE"].'
        )
    return Path(base_dir)


# Names and digests


def _measure(file: File[bytes]) -> tuple[int, str]:
    # A pass of its own: a storage may read in an order of its own, or move the file.
    size, digest = 0, hashlib.sha256()
    for chunk in file.chunks():
        size += len(chunk)
        digest.update(chunk)
        if refusal := too_large(original_name(file.name), size):
            raise InvalidParameters({NON_FIELD_ERRORS: [refusal]})
    return size, digest.hexdigest()


def this_month() -> str:
    """Return the folder in which files of today are kept."""
    return timezone.now().strftime("%Y/%m")


def storage_name_of(name: str, month: str, random: str) -> str:
    """Return where a file is kept whose 24 random hex digits are known."""
    return f"{month}/{random}{_signature(random)}/{_safe_name(name)}"


def _new_storage_name(name: str) -> str:
    return storage_name_of(name, this_month(), secrets.token_hex(12))


def key_of(storage_name: str) -> str | None:
    """Return the part of a name that we made, None in a name that is not ours."""
    parts = storage_name.split("/")
    return parts[2] if len(parts) == 4 and is_ours(parts[2]) else None


def is_ours(key: str) -> bool:
    """
    Tell whether the name of a folder is one that this project gave.

    Others may keep files in the same storage, also under names that look like ours: a
    test run, for one, which has the same SECRET_KEY, but not the same database.
    """
    random, signature = key[:-8], key[-8:]
    return len(random) == 24 and constant_time_compare(_signature(random), signature)


def _signature(random: str) -> str:
    database = connections[home()].settings_dict["NAME"]
    signed = f"{random} {database}"
    return salted_hmac("upkeep.uploads", signed, algorithm="sha256").hexdigest()[:8]


def _safe_name(name: str) -> str:
    # A name of dots or of signs alone has nothing left that Django would accept.
    return re.sub(r"[^-\w.]", "", name.replace(" ", "_")).strip(".") or "file"


def _shortened(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    if len(suffix) > LONGEST_NAME // 5:
        suffix = ""
    room = LONGEST_NAME - len(suffix.encode())
    return _cut(name.removesuffix(suffix), room) + suffix


def _cut(text: str, room: int) -> str:
    """Return as much of the text as fits into so many bytes of UTF-8."""
    return text.encode()[:room].decode("utf-8", "ignore")
