"""A test finds what migrations wrote, and nothing that another one left."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import TransactionTestCase

from tests.testapp.maintenance import CountUp
from tests.testapp.models import Item
from upkeep.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


def tear_down() -> None:
    """Do what is done behind each test that commits."""
    case = TransactionTestCase("run")
    case._fixture_teardown()  # type: ignore[attr-defined]  # the stubs leave it out


def permissions() -> set[tuple[str, str]]:
    return set(Permission.objects.values_list("content_type__model", "codename"))


def test_rows_of_a_test_are_gone_whatever_refers_to_them() -> None:
    Item.objects.create(pk=1)
    CountUp.using(by=User.objects.create_user("ada")).enqueue()
    Group.objects.create(name="ours").permissions.set(Permission.objects.all())
    tear_down()
    assert not any(
        model.objects.exists()
        for model in (Item, Run, User, Group, Group.permissions.through)
    )


def test_rows_of_migrations_stay_as_they_are() -> None:
    before = set(Permission.objects.values_list("pk", "name"))
    tear_down()
    assert before
    assert set(Permission.objects.values_list("pk", "name")) == before


def test_rows_of_migrations_that_a_test_changed_are_written_again() -> None:
    before = permissions()
    Permission.objects.filter(codename="view_run").delete()
    Permission.objects.create(
        codename="fly", content_type=ContentType.objects.get_for_model(Run)
    )
    Item.objects.create(pk=1)
    tear_down()
    assert permissions() == before
    assert not Item.objects.exists()
