"""What type checkers take a parameter for: mypy reads this file with the others."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, assert_type

from django import forms

from upkeep import Task, parameter


class Typed(Task):
    """Take one parameter of each form."""

    app_label = "testapp"
    abstract = True

    declared: int = parameter(forms.IntegerField(initial=5))
    optional: date | None = parameter(forms.DateField(required=False))
    undeclared = parameter(forms.CharField(required=False))
    bare = forms.CharField(required=False)


class Narrower(Typed):
    """Say more of a parameter that a parent has."""

    abstract = True
    optional: date = parameter(forms.DateField(initial=date(2025, 2, 1)))


def test_a_parameter_has_the_type_that_is_declared() -> None:
    task = Typed()
    assert_type(task.declared, int)
    assert_type(task.optional, date | None)
    assert_type(Narrower().optional, date)
    assert (task.declared, task.optional) == (5, None)
    assert Narrower().optional == date(2025, 2, 1)


def test_a_bare_field_is_as_good() -> None:
    """But for a type checker it is a field, as Django's own stubs have it in a form."""
    if TYPE_CHECKING:
        assert_type(Typed.bare, forms.CharField)
    assert Typed().bare == ""  # type: ignore[comparison-overlap]  # That is the reason.
    assert Typed().undeclared == ""
