"""What a task says of the objects that `process` makes and the engine inserts."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Model

from upkeep.exceptions import InvalidTask


class Creates:
    """
    The model whose objects `process` makes, and what is done with those there already.

    `ignore_conflicts` leaves rows alone that a unique value says are there. With
    `update_fields` these fields of theirs are set instead; `unique_fields` are those
    by which they are found. Without either, they are an error.
    """

    def __init__(
        self,
        model: type[Model],
        *,
        ignore_conflicts: bool = False,
        update_fields: Sequence[str] = (),
        unique_fields: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.ignore_conflicts = ignore_conflicts
        self.update_fields = tuple(update_fields)
        self.unique_fields = tuple(unique_fields)
        if complaint := self._complaint():
            raise InvalidTask(f"Creates: {complaint}")

    @classmethod
    def of(cls, declared: type[Model] | Creates) -> Creates:
        """Return what a task has declared, which may be a model alone."""
        return declared if isinstance(declared, Creates) else cls(declared)

    def _complaint(self) -> str:
        if not _is_model(self.model):
            return f"{self.model!r} is no model."
        for name in ("update_fields", "unique_fields"):
            if not all(isinstance(each, str) for each in getattr(self, name)):
                return f"{name} must be a tuple of field names."
        if self.ignore_conflicts and self.update_fields:
            return "rows that are there are ignored or updated, not both."
        if bool(self.update_fields) != bool(self.unique_fields):
            return (
                "update_fields and unique_fields belong together: what is set of a row "
                "that is there, and by what it is found."
            )
        return ""


def is_declaration(value: object) -> bool:
    """Tell whether a task may declare this as its `creates`."""
    return isinstance(value, Creates) or _is_model(value)


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Model)
