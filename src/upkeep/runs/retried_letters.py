"""The dead letters that a run retries, as a collection of the items that they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.apps import apps

from upkeep.databases import home, is_passing
from upkeep.exceptions import CursorMismatch, Skip, UpkeepError
from upkeep.tasks.collections.base import Collection, Cursor, Page
from upkeep.tasks.collections.batches import BatchesCollection
from upkeep.tasks.collections.querysets import RecordsCollection, fitting
from upkeep.tasks.values import from_json

if TYPE_CHECKING:
    from upkeep.runs.dead_letters import DeadLetter
    from upkeep.runs.models import Run

# An item may take its source a while, and a run that shall stop must not wait for more.
LONGEST_PAGE = 0.1  # seconds


class NoLongerThere(Skip):
    """An item has left its collection since it failed; nothing is left to be done."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands for an item that was not found, and knows the error that says so."""

    kind: type[UpkeepError]
    sentence: str

    def error(self) -> UpkeepError:
        """Return a new error, for each one gathers a traceback."""
        return self.kind(self.sentence)


GONE = Missing(NoLongerThere, "It is no longer in the collection.")

WITHOUT_KEY = Missing(
    UpkeepError,
    "It was kept without its primary key, by which alone it could be found again. See "
    "to it by hand, and discard it.",
)


class RetriedLetters(Collection[Any]):
    """
    Items that failed once, in the order of their dead letters, each found afresh.

    A record is looked for by its key among those of the task's own collection, and
    everything else is what comes behind the place at which it was met.
    """

    kind = "dead letters"

    def __init__(self, run: Run, collection: Collection[Any]) -> None:
        self.unit = collection.unit
        self._run = run
        self._collection = collection
        self._find = _finder(collection)
        # A batch may be work for a chunk, and each is a query.
        self._is_one_at_a_time = isinstance(collection, BatchesCollection)
        self._fitting: int | None = None  # Items of this kind in a page.

    def page(self, cursor: Cursor | None, size: int) -> Page[Any]:
        """Return the next items; `Missing` stands for each that was not found."""
        if cursor is not None:
            self.check_kind(cursor)
        size = 1 if self._is_one_at_a_time else min(size, self._fitting or size)
        waiting = self._run.letters_in_hand.using(home()).retrying(behind=cursor)
        letters = list(waiting.order_by("pk").only(*COLUMNS)[: size + 1])
        items = self._find(letters[:size])
        self._fitting = fitting(items)
        return Page(
            items,
            last=len(items) == len(letters),
            cursor_after=lambda index: self._cursor(letters[index]),
            names=[letter.item for letter in letters[: len(items)]],
        )

    def count(self) -> int:
        """Count those that are still to be retried."""
        return self._run.letters_in_hand.using(home()).retrying().count()

    def close(self) -> None:
        """Let go of what the task's collection holds open."""
        self._collection.close()

    def _cursor(self, letter: DeadLetter) -> Cursor:
        return {"kind": self.kind, "letter": letter.pk}


COLUMNS = ("pk", "item", "payload", "cursor", "retried_by")

Find = Callable[[Sequence["DeadLetter"]], list[Any]]


def _finder(collection: Collection[Any]) -> Find:
    """Return what finds the items of some letters, or of the first among them."""
    match collection:
        case BatchesCollection():
            return _Batches(collection)
        case RecordsCollection():
            return _Records(collection)
    return partial(_by_place, collection)


class _Records:
    """The records of a collection, by their keys."""

    def __init__(self, collection: RecordsCollection) -> None:
        self.collection = collection
        walked = collection.records.model
        whole = walked._meta.concrete_model or walked
        # The collection may give records of a subclass, or as a proxy.
        known = (each for each in apps.get_models() if issubclass(each, whole))
        self.labels = {model._meta.label_lower for model in known}

    def __call__(self, letters: Sequence[DeadLetter]) -> list[Any]:
        """Return the records of the letters, which are fetched with one query."""
        keys = [self._key_of(letter) for letter in letters]
        among = self.collection.of([key for key in keys if key is not None])
        found = {record.pk: record for record in among}
        return [WITHOUT_KEY if key is None else found.get(key, GONE) for key in keys]

    def _key_of(self, letter: DeadLetter) -> Any:
        keys = self._keys_of(letter)
        if len(keys) > 1:
            raise CursorMismatch(
                f"The dead letter {letter.pk} is a batch, but its task now walks "
                "single records. Bring the former collection back, or discard it."
            )
        return keys[0] if keys else None

    def _keys_of(self, letter: DeadLetter) -> list[Any]:
        """Return the keys of what was kept; none where it is not known by a key."""
        match letter.payload:
            case {"$model": label, "pk": key}:
                keys = [key]
            case {"$models": label, "pks": [*keys]}:
                pass
            case _:
                return []
        if label not in self.labels:
            raise CursorMismatch(
                f"The dead letter {letter.pk} is of {label}, but its task now walks "
                f"{self.collection.model}. Bring the former collection back, or "
                "discard it."
            )
        return [_as_key(key) for key in keys]


class _Batches(_Records):
    """Batches of records, as far as these are in the collection today."""

    def __call__(self, letters: Sequence[DeadLetter]) -> list[Any]:
        """Return a batch for each letter."""
        return [self._batch(self._keys_of(letter)) for letter in letters]

    def _batch(self, keys: list[Any]) -> Any:
        batch = self.collection.of(keys)
        if not keys:
            return WITHOUT_KEY
        return batch if batch.exists() else GONE


def _by_place(collection: Collection[Any], letters: Sequence[DeadLetter]) -> list[Any]:
    """Return the items up to one that cannot be read: it begins the next page."""
    items: list[Any] = []
    try:
        items.extend(_in_good_time(collection, letters))
    except Exception as error:
        if not items or is_passing(error):
            raise
    return items


def _in_good_time(
    collection: Collection[Any], letters: Sequence[DeadLetter]
) -> Iterator[Any]:
    deadline = monotonic() + LONGEST_PAGE
    for letter in letters:
        found = collection.page(letter.cursor, 1).items
        yield found[0] if found else GONE
        if monotonic() >= deadline:
            return


def _as_key(data: Any) -> Any:
    """Return a primary key; that of several columns is a tuple, unknown to JSON."""
    key = from_json(data)
    return tuple(key) if isinstance(key, list) else key
