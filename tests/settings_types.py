"""The settings by which mypy knows all models: the suite's, and those of the rest."""

import sys
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "example"))

INSTALLED_APPS = [*INSTALLED_APPS, "flights", "benchmarks"]
DATA_DIR = ROOT / "example" / "data"
FOLDER = ROOT / "build"
