"""Storages as they are far away: they give streams, and sometimes break off."""

from __future__ import annotations

import io
from typing import Any

from django.core.files import File
from django.core.files.storage import InMemoryStorage, Storage


class Stream(io.RawIOBase):
    """Bytes that can be read once, from the beginning to the end."""

    def __init__(self, content: bytes, breaks_at: int | None) -> None:
        self._content = io.BytesIO(content)
        self._breaks_at = breaks_at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        place = self._content.tell()
        if self._breaks_at is not None and place >= self._breaks_at:
            raise ConnectionResetError("the peer is gone")
        return self._content.read(min(size, 1000) if size >= 0 else 1000)


class FarStorage(InMemoryStorage):
    """A storage that streams, counts what it gave, and can be made to break off."""

    given: int = 0
    breaks_at: int | None = None
    cuts_off: int | None = None

    def open(self, name: str, mode: str = "rb") -> File[Any]:
        self.given += 1
        with super().open(name, mode) as file:
            content = file.read()[: self.cuts_off]
        return File(Stream(content, self.breaks_at), name=name)  # type: ignore[arg-type,unused-ignore]


class BlindStorage(Storage):
    """A storage that keeps files and does not say which."""

    def _save(self, name: str, content: Any) -> str:
        return name

    def exists(self, name: str) -> bool:
        return False


class TimelessStorage(InMemoryStorage):
    """A storage that does not say when a file was written."""

    def get_modified_time(self, name: str) -> Any:
        raise NotImplementedError
