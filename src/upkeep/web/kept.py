"""Files that came with a form that was refused: nobody has to choose them again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.core.files import File
from django.utils.crypto import salted_hmac

from upkeep.exceptions import UpkeepError
from upkeep.tasks import uploads
from upkeep.tasks.uploads import StoredFile

if TYPE_CHECKING:
    from django.http import HttpRequest

    from upkeep.tasks.base import Task

#: The sweep may take what no run refers to when it is a day old.
LIFE = timedelta(hours=23)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file in the storage, and the token that the form brings back for it."""

    file: StoredFile
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """
    Keeps the files of one person's form for one task.

    The token says what the file is but not where: its place comes of a number in the
    token and the project's secret key. Signed for person, task and field, it is of no
    use to anybody else.
    """

    task: type[Task]
    person: Any

    @classmethod
    def of(cls, task: type[Task], request: HttpRequest) -> Keeper:
        """Return the keeper for whoever sent the form."""
        return cls(task=task, person=request.user.pk)

    def keep(self, name: str, file: File[bytes]) -> Kept | None:
        """Keep the file of a field; None where it cannot be found again by a token."""
        token: dict[str, Any] = {
            "number": secrets.token_hex(16),
            "month": uploads.this_month(),
            "name": uploads.original_name(file.name),
        }
        try:
            stored = uploads.save(file, storage_name=_place(token))
        except UpkeepError:  # What cannot be stored was told of already.
            return None
        if stored.storage_name != _place(token):
            uploads.delete(stored)
            return None
        token |= {"size": stored.size, "sha256": stored.sha256}
        return Kept(file=stored, token=signing.dumps(token, salt=self._salt(name)))

    def find(self, name: str, token: str) -> Kept | None:
        """Return what the token stands for; None if it is over, or somebody else's."""
        try:
            data = signing.loads(token, salt=self._salt(name), max_age=LIFE)
        except signing.BadSignature:
            return None
        file = StoredFile(
            name=data["name"],
            storage_name=_place(data),
            size=data["size"],
            sha256=data["sha256"],
        )
        if not uploads.storage().exists(file.storage_name):
            return None
        return Kept(file=file, token=token)

    def _salt(self, name: str) -> str:
        return f"upkeep.kept:{self.person}:{self.task.label()}:{name}"


def _place(token: dict[str, Any]) -> str:
    digest = salted_hmac("upkeep.kept", token["number"], algorithm="sha256").hexdigest()
    return uploads.storage_name_of(token["name"], token["month"], digest[:24])
