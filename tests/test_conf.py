"""The settings: read when they are asked for, as they are then."""

from datetime import timedelta

import pytest
from django.test import override_settings
from pytest_django import Settings

from upkeep.conf import Conf, conf


def test_defaults_hold_where_nothing_is_said(settings: Settings) -> None:
    del settings.UPKEEP
    assert conf.LEASE == timedelta(seconds=30)
    assert conf.TIME_BUDGET == timedelta(minutes=2)
    assert conf.CHUNK == timedelta(seconds=0.5)
    assert conf.CHECKPOINT_EVERY == timedelta(seconds=1)
    assert (conf.TASKS_MODULE, conf.STORAGE) == ("maintenance", None)


def test_one_that_is_given_leaves_the_others(settings: Settings) -> None:
    settings.UPKEEP = {"LEASE": timedelta(seconds=5)}
    assert (conf.LEASE, conf.CHUNK) == (timedelta(seconds=5), Conf().CHUNK)


def test_an_override_holds_as_long_as_it_lasts() -> None:
    before = conf.LEASE
    with override_settings(UPKEEP={"LEASE": timedelta(seconds=7)}):
        assert conf.LEASE == timedelta(seconds=7)
        with override_settings(UPKEEP={}):
            assert conf.LEASE == Conf().LEASE
        assert conf.LEASE == timedelta(seconds=7)
    assert before == conf.LEASE


def test_none_is_a_value(settings: Settings) -> None:
    settings.UPKEEP = {"TIME_BUDGET": None}
    assert conf.TIME_BUDGET is None


def test_one_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        conf.LEESE  # type: ignore[attr-defined]  # noqa: B018


def test_one_that_we_do_not_know_stops_nobody(settings: Settings) -> None:
    """The system check speaks of it; a page must not fail for a slip."""
    settings.UPKEEP = {"LEESE": 1}
    assert conf.LEASE == Conf().LEASE
