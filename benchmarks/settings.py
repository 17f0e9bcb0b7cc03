"""The settings of the test suite, and the application that is measured."""

import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

# Where files are read and kept; made by benchmarks/__main__.py.
FOLDER = Path(os.environ.get("UPKEEP_BENCHMARKS", "build"))

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]

STORAGES = {
    "upkeep": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": FOLDER / "uploads"},
    }
}

if DATABASES["default"]["ENGINE"].endswith(".sqlite3"):
    # What the loops written by hand need; the engine begins IMMEDIATE by itself.
    DATABASES["default"].setdefault("OPTIONS", {})["transaction_mode"] = "IMMEDIATE"
