"""A deploy migrates first, and meanwhile workers go on with the code from before."""

from __future__ import annotations

from functools import partial

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from tests.runs.stages import run_in
from upkeep.models import DeadLetter, Lease
from upkeep.runs.status import Status


def test_a_row_can_be_written_by_code_that_does_not_know_the_newest_columns() -> None:
    added = [one for one in operations() if isinstance(one, migrations.AddField)]
    assert added
    assert [one.name for one in added if must_be_given(one.field)] == []


def test_no_column_is_taken_from_code_that_still_knows_it() -> None:
    takes = (migrations.RemoveField, migrations.RenameField, migrations.DeleteModel)
    assert [one for one in operations() if isinstance(one, takes)] == []


@pytest.mark.django_db(transaction=True)
def test_the_newest_ones_can_be_taken_back_with_rows_in_their_tables() -> None:
    """MariaDB keeps the last index that begins with the column of a foreign key."""
    run = run_in(Status.RUNNING)
    letter = DeadLetter.objects.create(run=run, item="7")
    migrate = partial(call_command, "migrate", "upkeep", verbosity=0)
    try:
        migrate("0014")
    finally:
        migrate()
    assert DeadLetter.objects.get(run__status=Status.RUNNING) == letter
    assert Lease.objects.get().item == ""
    with pytest.raises(IntegrityError), transaction.atomic():
        keep_letter_of(run.pk + 1)


def keep_letter_of(run_id: int) -> None:
    DeadLetter.objects.create(run_id=run_id, item="8")
    connection.check_constraints()  # At once, where that is left to COMMIT.


def operations() -> list[Operation]:
    """Return the operations of all migrations of ours."""
    loader = MigrationLoader(None)
    ours = [one for (app, _), one in loader.disk_migrations.items() if app == "upkeep"]
    return [operation for migration in ours for operation in migration.operations]


def must_be_given(field: models.Field[object, object]) -> bool:
    return not field.null and field.db_default is models.NOT_PROVIDED
