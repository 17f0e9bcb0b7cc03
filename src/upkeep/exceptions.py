"""
The errors of Upkeep, one tree under `UpkeepError`.

    UpkeepError
    ├── InvalidTask          a task class is badly written
    ├── TaskNotFound         no task has that label
    ├── InvalidParameters    the values given to a task cannot be used
    ├── QueueRefused         the queue does not serve what was asked of it
    ├── AlreadyActive        the same run is under way
    ├── InvalidCall          a call cannot be kept, or not be made again
    ├── CallLost             nobody knows whether a second call was made
    ├── InvalidTransition    a run cannot make that move from where it is
    ├── NoOpenLetters        none of these dead letters waits to be seen to
    ├── InvalidCollection    what `collection()` returned cannot be walked
    ├── InvalidFile          a file cannot be read as what it should be
    ├── StorageFailed        the storage broke off while it gave a file
    ├── CursorMismatch       a run's cursor does not fit its collection any more
    ├── VanishedReference    a parameter's record or file no longer exists
    ├── SwallowedError       `process` hid a database error that spoiled its chunk
    ├── TransactionEnded     `process` ended the transaction of its chunk
    ├── WorkerLost           an item ended one worker after the other
    ├── InvalidUpdate        `process` changed what `updates` cannot save
    ├── InvalidResult        `process` returned what its task does not declare
    ├── Conflict             a record was changed each time that it was worked on
    ├── Skip                 `process` wants its item to be passed over
    ├── MaskedError          stands for an error that might tell a secret
    └── LeaseLost            another worker has taken the run over
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class UpkeepError(Exception):
    """The base of all errors of Upkeep."""


class InvalidTask(UpkeepError):
    """A task class is badly written; raised when the class is made or found."""


class TaskNotFound(UpkeepError):
    """No task has that label."""


class InvalidParameters(UpkeepError):
    """The values given to a task cannot be used; `errors` says which and why."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {name: list(sentences) for name, sentences in errors.items()}
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        return " ".join(
            sentence if name == "__all__" else f"{name}: {sentence}"
            for name, sentences in self.errors.items()
            for sentence in sentences
        )


class QueueRefused(UpkeepError):
    """The queue does not serve what was asked of it; the message names `TASKS`."""


class AlreadyActive(UpkeepError):
    """A run of the same task is under way, and its `concurrency` allows no more."""


class InvalidCall(UpkeepError):
    """A function whose calls cannot be kept, or a call that cannot be made again."""


class CallLost(UpkeepError):
    """What a dead letter has for its error where its second call was never heard of."""


class InvalidTransition(UpkeepError):
    """A run cannot make that move from the status it is in."""


class NoOpenLetters(UpkeepError):
    """None of the dead letters that were to be seen to is open any more."""


class InvalidCollection(UpkeepError):
    """What `collection()` returned cannot be walked."""


class InvalidFile(UpkeepError):
    """A file cannot be read as what it should be; the message names the place."""


class StorageFailed(UpkeepError):
    """The storage of files broke off while it gave one; nothing of it is kept."""

    @classmethod
    def told(cls, name: str | None, what: str) -> StorageFailed:
        """Return the error of a file, with what can be done about it."""
        return cls(
            f"The storage broke off while it gave the file {name}: {what}. Resume the "
            "run when the storage is well again."
        )

    @classmethod
    def cut_off(cls, name: str | None, size: int, whole: int) -> StorageFailed:
        """Return the error of a file that has another size than it had when given."""
        return cls.told(name, f"it gave {size:,} bytes of {whole:,}")


class CursorMismatch(UpkeepError):
    """A run's cursor does not fit the task's collection any more."""


class VanishedReference(UpkeepError):
    """A parameter refers to a record or a file that no longer exists."""


class SwallowedError(UpkeepError):
    """A task hid a database error after which its chunk cannot be trusted."""


class TransactionEnded(UpkeepError):
    """A task ended the transaction of its chunk, and part of it may be committed."""


class WorkerLost(UpkeepError):
    """Several workers fell silent over the same item, one after the other."""


class ItemStuck(UpkeepError):
    """Tells of an item that has been in hand for longer than `STUCK_AFTER`."""


class InvalidUpdate(UpkeepError):
    """A task with `updates` changed something that could not be saved safely."""


class InvalidResult(UpkeepError):
    """A task with `creates` or `deletes` returned something else from `process`."""


class Conflict(UpkeepError):
    """Somebody else changed a record each time that a task worked on it."""

    @classmethod
    def over(cls, name: str, *, times: int) -> Conflict:
        """Return the error of a record, with what else may be the reason."""
        return cls(
            f"{name} was changed by somebody else each of the {times} times that it "
            "was worked on. If nobody does that, then process() saves it itself: with "
            "updates, leave save() and update() out."
        )


class Skip(UpkeepError):
    """
    Raised in `process`: this item is passed over, and counted as skipped.

    It is no failure: what `process` did before is kept, so raise it first. The reason
    goes into the log of the run. A Job ends as discarded.
    """


class MaskedError(UpkeepError):
    """Stands for an error that might tell a secret, and tells of it without."""


class LeaseLost(UpkeepError):
    """Another worker has taken the run over; what this one holds is rolled back."""
