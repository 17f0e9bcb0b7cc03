"""What inserts the objects that `process` returns or yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeGuard

from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, connections
from django.db.models import Model

from upkeep import databases
from upkeep.exceptions import InvalidResult, InvalidTask
from upkeep.tasks.creates import Creates

DUPLICATE = 1062  # MariaDB's number for a unique value that is there already.
MOST_WARNINGS = 65_535  # That MariaDB can keep of a statement.


class Creator:
    """Inserts objects many at a time, by what a task has declared of them."""

    def __init__(self, declared: Creates, alias: str, *, at_once: int) -> None:
        self.declared = declared
        self.model = declared.model
        self.alias = alias
        self.at_once = min(at_once, MOST_WARNINGS)  # One for each row.
        self.is_mysql = connections[alias].vendor == "mysql"
        self._refuse_what_cannot_be_inserted()

    def made(self, returned: object) -> Sequence[Model]:
        """Return the objects that `process` returned or yields, which are checked."""
        if type(returned) is self.model:  # Nearly always.
            found: Sequence[Any] = (returned,)
        elif isinstance(returned, Model | Mapping) or not isinstance(
            returned, Iterable
        ):
            found = (returned,)  # What a mapping yields are its keys.
        else:
            found = list(returned)
        for each in found:
            self._check(each)
        return found

    def insert(self, objects: Sequence[Model]) -> int:
        """Insert objects, and return how many rows were written."""
        if not objects:
            return 0
        manager = self.model._base_manager.using(self.alias)
        with databases.writing(self.alias):
            if self.declared.ignore_conflicts:
                with self._ignoring() as written:
                    manager.bulk_create(objects, self.at_once, ignore_conflicts=True)
                return sum(written)
            manager.bulk_create(objects, self.at_once, **self._upsert())
        return len(objects)

    def _upsert(self) -> dict[str, Any]:
        if not self.declared.update_fields:
            return {}
        found = {"update_conflicts": True, "update_fields": self.declared.update_fields}
        if not self.is_mysql:  # It looks at every unique index, and takes no names.
            found["unique_fields"] = self.declared.unique_fields
        return found

    # What is there already

    @contextmanager
    def _ignoring(self) -> Iterator[list[int]]:
        """
        Gather how many rows each statement wrote of those that it was given.

        What is ignored is a unique value that is there, and nothing else. Of itself
        SQLite would leave out whatever breaks another constraint as well.
        """
        connection: Any = connections[self.alias]
        written: list[int] = []

        def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            result = execute(_ignoring_duplicates_alone(sql), *rest)
            if sql.startswith("INSERT"):
                written.append(max(rest[-1]["cursor"].rowcount, 0))
                if self.is_mysql:
                    self._refuse_other_warnings()
            return result

        with connection.execute_wrapper(note):
            if self.is_mysql:
                with connection.cursor() as cursor:
                    cursor.execute(f"SET SESSION max_error_count = {MOST_WARNINGS}")
            yield written

    def _refuse_other_warnings(self) -> None:
        """
        Raise what INSERT IGNORE has hidden, apart from what it was asked to.

        It also cuts off texts that are too long, and leaves out rows whose relations
        are not there.
        """
        with connections[self.alias].cursor() as cursor:
            cursor.execute("SHOW WARNINGS")
            for _level, code, message in cursor.fetchall():
                if code != DUPLICATE:
                    raise DataError(code, message)

    # What cannot be inserted

    def _check(self, item: object) -> None:
        if not self._is_of_model(item):
            raise InvalidResult(
                f"process() gave a value of type {type(item).__name__}, but its task "
                f"creates {self.model._meta.label}: return or yield objects of that "
                "model, or nothing."
            )
        if not item._state.adding:
            raise InvalidResult(
                f"process() gave {item._meta.label} {item.pk}, which is in the "
                "database already: return or yield new objects only, and change those "
                "that are there by updates, or by save()."
            )

    def _is_of_model(self, item: object) -> TypeGuard[Model]:
        """Tell whether an object has the columns of the model, and no others."""
        whole = self.model._meta.concrete_model
        return isinstance(item, Model) and item._meta.concrete_model is whole

    def _refuse_what_cannot_be_inserted(self) -> None:
        meta = self.model._meta
        if meta.abstract:
            raise InvalidTask(f"creates: {self.model.__name__} has no table.")
        if any(
            each._meta.concrete_model is not meta.concrete_model
            for each in meta.get_parent_list()
        ):
            raise InvalidTask(
                f"creates: {meta.label} lies in several tables, which cannot be "
                "filled with one statement: save() in process() and leave creates out."
            )
        for name in (*self.declared.update_fields, *self.declared.unique_fields):
            try:
                meta.get_field(name)
            except FieldDoesNotExist:
                names = [each.name for each in meta.concrete_fields]
                raise InvalidTask(
                    f"creates names {name!r}, but {meta.label} has no such field. It "
                    f"has: {', '.join(names)}."
                ) from None
        if self.declared.unique_fields:
            self._refuse_what_is_not_unique(self.declared.unique_fields)

    def _refuse_what_is_not_unique(self, names: Sequence[str]) -> None:
        """Refuse to look for rows by what several may have: the database is asked."""
        meta, connection = self.model._meta, connections[self.alias]
        fields = (each for each in meta.concrete_fields if each.name in names)
        columns = {str(each.column).lower() for each in fields}
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(
                cursor, meta.db_table
            )
        if not any(
            {str(column).lower() for column in each["columns"]} == columns
            for each in constraints.values()
            if each["unique"] or each["primary_key"]
        ):
            raise InvalidTask(
                f"creates looks for rows of {meta.label} by {', '.join(names)}, which "
                "the database does not keep unique: name the fields of one unique "
                "constraint, or add one."
            )


def _ignoring_duplicates_alone(sql: str) -> str:
    """Return a statement of SQLite in a form that hides no other error."""
    everything, duplicates = "INSERT OR IGNORE", " ON CONFLICT DO NOTHING"
    if not sql.startswith(everything):
        return sql
    return sql.replace(everything, "INSERT", 1) + duplicates
