"""Files that tasks receive: where they are kept, and how they are read again."""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone
from django.utils.crypto import salted_hmac

from upkeep.conf import conf
from upkeep.exceptions import VanishedReference

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
        self.file.seek(0)
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
    """A file in the storage of Upkeep; `size` is in bytes, `sha256` in hex digits."""

    def __init__(self, *, name: str, storage_name: str, size: int, sha256: str) -> None:
        super().__init__(name)
        self.storage_name = storage_name
        self.size = size
        self.sha256 = sha256

    def _open(self) -> File[bytes]:
        try:
            return storage().open(self.storage_name, "rb")
        except FileNotFoundError as error:
            raise VanishedReference(
                f"The file {self.name} is no longer in the storage: {self.storage_name}"
                " is missing. Start the task again with the file."
            ) from error


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
    storage().delete(stored.storage_name)


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
    return size, digest.hexdigest()


def this_month() -> str:
    """Return the folder in which files of today are kept."""
    return timezone.now().strftime("%Y/%m")


def storage_name_of(name: str, month: str, random: str) -> str:
    """Return where a file is kept whose 24 random hex digits are known."""
    return f"{month}/{random}{_signature(random)}/{_safe_name(name)}"


def _new_storage_name(name: str) -> str:
    return storage_name_of(name, this_month(), secrets.token_hex(12))


def _signature(random: str) -> str:
    return salted_hmac("upkeep.uploads", random).hexdigest()[:8]


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
