"""Which file belongs to which run, and the sweep of those that belong to none."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import Storage
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from upkeep.databases import home, now
from upkeep.tasks import uploads
from upkeep.tasks.values import tag_of

if TYPE_CHECKING:
    from upkeep.runs.models import Run

logger = logging.getLogger("upkeep")

# Younger files may be those of a transaction that is still open.
OLD_ENOUGH = timedelta(days=1)
AT_ONCE = 100
LOOKED_UP_AT_ONCE = 500


class Upload(models.Model):
    """
    A file in the storage that belongs to a run, written in the run's transaction.

    A file that no such row knows is one whose enqueue was rolled back, or whose run
    was deleted.
    """

    run = models.ForeignKey(
        "upkeep.Run", on_delete=models.CASCADE, related_name="uploads"
    )
    storage_name = models.CharField(_("name in the storage"), max_length=255)
    key = models.CharField(  # noqa: DJ001 - of many NULLs, each is unique
        _("key"), max_length=32, unique=True, null=True
    )
    """What of the name cannot be guessed; None where the storage gave another name."""

    size = models.BigIntegerField(_("size"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        app_label = "upkeep"
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")

    def __str__(self) -> str:
        return self.storage_name


def note(run: Run) -> None:
    """Write down which files a run has, in its own transaction."""
    found = [
        Upload(
            run=run,
            storage_name=file["$file"],
            key=uploads.key_of(file["$file"]),
            size=file["size"],
        )
        for file in files_in(run.parameters)
    ]
    if found:
        Upload.objects.using(home()).bulk_create(found)


def files_in(data: Any) -> Iterator[dict[str, Any]]:
    """Yield the files among stored parameters."""
    if isinstance(data, list):
        for item in data:
            yield from files_in(item)
    elif isinstance(data, dict) and tag_of(data) == "$file":
        yield data
    elif isinstance(data, dict) and tag_of(data) is None:
        yield from files_in(list(data.values()))


# The sweep


def sweep() -> int:
    """
    Delete some files that no run knows, and return how many.

    It looks at one month of them, by chance, so that it costs little whatever lies in
    the storage; called again and again, it comes to all.
    """
    try:
        place = uploads.storage()
        month = _some_month(place)
    except (ImproperlyConfigured, NotImplementedError) as error:
        logger.debug("Nobody can look for files without a run: %r", error)
        return 0
    if month is None:
        return 0
    keys = [key for key in _folders(place, month) if uploads.is_ours(key)]
    unknown = (f"{month}/{key}" for key in _unknown(keys))
    return sum(_delete_if_old(place, folder) for folder in islice(unknown, AT_ONCE))


def _some_month(place: Storage) -> str | None:
    months = [
        f"{year}/{month}"
        for year in _folders(place, "")
        if re.fullmatch(r"\d{4}", year)
        for month in _folders(place, year)
        if re.fullmatch(r"\d\d", month)
    ]
    return secrets.choice(months) if months else None


def _folders(place: Storage, path: str) -> list[str]:
    try:
        return place.listdir(path)[0]
    except FileNotFoundError:
        return []  # No file was ever kept.


def _unknown(keys: Iterable[str]) -> Iterator[str]:
    """Yield the keys that belong to no run; asked for after they were listed."""
    remaining = iter(keys)
    rows = Upload.objects.using(home())
    while some := list(islice(remaining, LOOKED_UP_AT_ONCE)):
        known = set(rows.filter(key__in=some).values_list("key", flat=True))
        yield from (key for key in some if key not in known)


def _delete_if_old(place: Storage, folder: str) -> bool:
    """Delete the file in a folder of ours; what else lies there is not of us."""
    try:
        folders, names = place.listdir(folder)
        if folders or len(names) != 1:
            return False
        name = f"{folder}/{names[0]}"
        # A storage may go by our clock or by its own, and either of them be wrong.
        if min(timezone.now(), now()) - _written_at(place, name) < OLD_ENOUGH:
            return False
        uploads.remove(name)
    except Exception:
        # Whatever a storage may raise; it must not keep the other files lying.
        logger.warning("The file in %s could not be swept.", folder, exc_info=True)
        return False
    logger.info("%s was deleted: it belongs to no run.", name)
    return True


def _written_at(place: Storage, name: str) -> datetime:
    """Return when a file was written, or at the latest was."""
    try:
        return place.get_modified_time(name)
    except NotImplementedError:
        year, month = map(int, name.split("/")[:2])
        return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
