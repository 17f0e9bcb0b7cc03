"""Files belong to runs; those that belong to none are swept, and no others."""

from __future__ import annotations

import logging
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connections, transaction
from django.test import override_settings
from django.utils import timezone
from pytest_django import Settings

from tests.testapp.maintenance import ImportItems
from upkeep.dispatch.recovery import Swept
from upkeep.dispatch.recovery import sweep as sweep_all
from upkeep.runs import uploads
from upkeep.runs.models import Run
from upkeep.runs.uploads import Upload, sweep
from upkeep.tasks.uploads import is_ours, key_of, save

pytestmark = pytest.mark.django_db

TWO_DAYS = timedelta(days=2)


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.BASE_DIR = tmp_path
    return tmp_path / "upkeep-files"


def kept(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if path.name != ".gitignore"]


def age(folder: Path, by: timedelta = TWO_DAYS) -> None:
    """Let all files have been written so long ago."""
    then = time.time() - by.total_seconds()
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def items_csv(name: str = "items.csv") -> ContentFile[bytes]:
    return ContentFile(b"name,n\na,1\n", name=name)


def rolled_back() -> None:
    with transaction.atomic():
        ImportItems.enqueue(csv_file=items_csv("lost.csv"))
        transaction.set_rollback(True)


class TestNote:
    def test_of_a_run_names_its_file(self) -> None:
        run = ImportItems.enqueue(csv_file=items_csv())
        upload = Upload.objects.get()
        stored = run.parameters["csv_file"]
        assert (upload.run, upload.size) == (run, 11)
        assert upload.storage_name == stored["$file"] == str(upload)
        assert upload.key == key_of(stored["$file"])

    def test_goes_with_the_run(self) -> None:
        rolled_back()
        assert not Upload.objects.exists()


class TestSweep:
    def test_deletes_the_file_of_an_enqueue_that_was_rolled_back(
        self, folder: Path
    ) -> None:
        rolled_back()
        assert kept(folder) == ["lost.csv"]
        age(folder)
        assert sweep() == 1
        assert kept(folder) == []
        assert not any(folder.glob("*/*/*"))

    def test_deletes_the_file_of_a_run_that_was_deleted(self, folder: Path) -> None:
        run = ImportItems.enqueue(csv_file=items_csv())
        age(folder)
        assert sweep() == 0
        Run.objects.filter(pk=run.pk).delete()
        assert sweep() == 1
        assert kept(folder) == []

    def test_leaves_the_files_of_runs(self, folder: Path) -> None:
        ImportItems.enqueue(csv_file=items_csv())
        rolled_back()
        age(folder)
        assert sweep() == 1
        assert kept(folder) == ["items.csv"]

    def test_leaves_what_a_transaction_may_still_want(self, folder: Path) -> None:
        rolled_back()
        age(folder, timedelta(hours=23))
        assert sweep() == 0
        assert kept(folder) == ["lost.csv"]

    def test_leaves_what_others_keep_there(self, folder: Path) -> None:
        key = save(items_csv("ours.csv")).storage_name.split("/")[2]
        month = next(folder.glob("*/*"))
        for name in ["0" * 32, key[:-1], key + "0", "photos"]:
            (month / name).mkdir()
            (month / name / "theirs.jpg").touch()
        (month / key / "theirs too.jpg").touch()
        (folder / "2026").mkdir(exist_ok=True)
        (folder / "photos").mkdir()
        (folder / "theirs.jpg").touch()
        before = sorted(kept(folder))
        age(folder)
        assert sweep() == 0
        assert sorted(kept(folder)) == before

    def test_leaves_the_files_of_other_projects_and_of_test_runs(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rolled_back()
        age(folder)
        with monkeypatch.context() as patch:
            patch.setitem(connections["default"].settings_dict, "NAME", "another")
            assert sweep() == 0
        with override_settings(SECRET_KEY="another"):
            assert sweep() == 0
        assert sweep() == 1

    def test_takes_some_at_a_time(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "AT_ONCE", 2)
        monkeypatch.setattr(uploads, "LOOKED_UP_AT_ONCE", 2)
        for _ in range(5):
            rolled_back()
        age(folder)
        assert [sweep() for _ in range(4)] == [2, 2, 1, 0]

    def test_comes_to_every_month(self, folder: Path) -> None:
        for month in ("2024/01", "2025/12"):
            rolled_back()
            (folder / month).parent.mkdir(exist_ok=True)
            today = folder / timezone.now().strftime("%Y/%m")
            today.rename(folder / month)
        age(folder)
        assert sum(sweep() for _ in range(100)) == 2

    def test_of_a_storage_without_files_finds_none(self) -> None:
        assert sweep() == 0

    def test_passes_over_a_file_that_cannot_be_deleted(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        rolled_back()
        age(folder)
        with monkeypatch.context() as patch:
            patch.setattr("upkeep.tasks.uploads.remove", fail)
            assert sweep() == 0
        assert "could not be swept" in caplog.text
        assert sweep() == 1

    def test_is_a_part_of_the_great_sweep(self, folder: Path) -> None:
        rolled_back()
        age(folder)
        assert sweep_all(prune=False) == Swept()
        assert sweep_all() == Swept(files=1)


class TestStorages:
    """Any storage will do that lists its files."""

    def use(self, settings: Settings, name: str) -> Any:
        settings.STORAGES = {
            "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
            "upkeep": {"BACKEND": name},
        }
        return storages["upkeep"]

    def test_in_memory(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.use(settings, "django.core.files.storage.InMemoryStorage")
        rolled_back()
        assert sweep() == 0
        monkeypatch.setattr(uploads, "OLD_ENOUGH", timedelta(0))
        assert sweep() == 1
        assert sweep() == 0

    def test_that_do_not_say_when_go_by_the_month(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.use(settings, "tests.streams.TimelessStorage")
        rolled_back()
        assert sweep() == 0
        in_two_months = timezone.now() + timedelta(days=62)
        monkeypatch.setattr(timezone, "now", lambda: in_two_months)
        assert sweep() == 0  # By one clock alone, which may be wrong.
        monkeypatch.setattr(uploads, "now", lambda: in_two_months)
        assert sweep() == 1

    def test_that_list_nothing_are_left_alone(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.use(settings, "tests.streams.BlindStorage")
        with caplog.at_level(logging.DEBUG, "upkeep"):
            assert sweep() == 0
        assert "Nobody can look for files without a run" in caplog.text

    def test_that_are_nowhere_are_left_alone(self, settings: Settings) -> None:
        del settings.BASE_DIR
        assert sweep() == 0


def test_a_key_is_ours_by_its_signature() -> None:
    keys = {str(key_of(save(items_csv()).storage_name)) for _ in range(20)}
    assert len(keys) == 20
    assert all(is_ours(key) for key in keys)
    assert not any(is_ours(key[::-1]) for key in keys)
    assert not is_ours("")


def fail(name: str) -> None:
    raise PermissionError(name)
