"""The choice of a collection, and cursors that do not fit."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from tests.testapp.models import Item
from upkeep import Batches
from upkeep.exceptions import CursorMismatch, InvalidCollection
from upkeep.tasks.collections import Once, collect
from upkeep.tasks.collections.files import CSVFile


class TestCollect:
    """What `collection()` returns decides how it is walked."""

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (Item.objects.all(), "queryset"),
            (Item.objects, "queryset"),
            (Batches(Item.objects), "batches"),
            ([1, 2], "sequence"),
            ((), "sequence"),
            (range(3), "sequence"),
            (CSVFile(ContentFile(b"a\n1\n")), "csv"),
            (CSVFile(ContentFile(b"a\n1\n")).in_batches(2), "csv"),
            (Once(), "once"),
        ],
    )
    def test_takes_what_can_be_walked(self, value: Any, kind: str) -> None:
        assert collect(value, alias="default").kind == kind

    @pytest.mark.parametrize(
        ("value", "name"),
        [
            ("abc", "type str"),
            (b"abc", "type bytes"),
            (None, "None"),
            ({1: 2}, "type dict"),
            ({1}, "type set"),
            (iter([1]), "type list_iterator"),
            (Path("x.csv"), "type PosixPath"),
            (3, "type int"),
            (Item, "type ModelBase"),
            (Item.objects.raw("SELECT 1"), "type RawQuerySet"),
        ],
    )
    def test_refuses_anything_else_by_its_type(self, value: Any, name: str) -> None:
        with pytest.raises(InvalidCollection, match=name) as raised:
            collect(value, alias="default")
        assert "QuerySet, Batches(queryset), a list or another sequence" in str(
            raised.value
        )


class TestCursor:
    """A cursor goes on in the kind of collection that it comes from."""

    @pytest.mark.parametrize(
        "value", [Item.objects.all(), [1], CSVFile(ContentFile(b"a\n1\n")), Once()]
    )
    def test_of_another_kind_is_refused(self, value: Any) -> None:
        collection = collect(value, alias="default")
        with pytest.raises(CursorMismatch, match=f"'tree'.*{collection.kind!r}"):
            collection.page({"kind": "tree"}, 10)
