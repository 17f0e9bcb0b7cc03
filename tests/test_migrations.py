"""A deploy migrates first, and meanwhile workers go on with the code from before."""

from __future__ import annotations

from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation


def test_a_row_can_be_written_by_code_that_does_not_know_the_newest_columns() -> None:
    added = [one for one in operations() if isinstance(one, migrations.AddField)]
    assert added
    assert [one.name for one in added if must_be_given(one.field)] == []


def test_no_column_is_taken_from_code_that_still_knows_it() -> None:
    takes = (migrations.RemoveField, migrations.RenameField, migrations.DeleteModel)
    assert [one for one in operations() if isinstance(one, takes)] == []


def operations() -> list[Operation]:
    """Return the operations of all migrations of ours."""
    loader = MigrationLoader(None)
    ours = [one for (app, _), one in loader.disk_migrations.items() if app == "upkeep"]
    return [operation for migration in ours for operation in migration.operations]


def must_be_given(field: models.Field[object, object]) -> bool:
    return not field.null and field.db_default is models.NOT_PROVIDED
