"""django-tasks-db, and its `db_worker`."""

from django_tasks_db.models import DBTaskResult

from tests.backends.contract import Contract


class TestDatabase(Contract):
    settings_module = "tests.settings"

    def lose_messages(self) -> None:
        DBTaskResult.objects.all().delete()
