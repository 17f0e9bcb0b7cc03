"""
A scenario as a process: `python -m tests.chaos NAME OPTIONS`, these as JSON.

Where UPKEEP_CHAOS_LOG is set it also prints what the workers said.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any

from tests.chaos.arena import arena
from tests.chaos.child import SCENARIOS
from tests.servers import unwinding_on_sigterm

ARENA = {"database", "lease", "queue"}


def main(name: str, given: str) -> None:
    """Play a scenario, and print its figures as JSON."""
    options: dict[str, Any] = json.loads(given)
    where = {key: options.pop(key) for key in ARENA & set(options)}
    with unwinding_on_sigterm(), arena(**where) as here:
        play = getattr(import_module(SCENARIOS[name]), name)
        try:
            found = play(here, **options)
        except BaseException:
            sys.stderr.write((here.folder / "workers.log").read_text())
            raise
        if "UPKEEP_CHAOS_LOG" in os.environ:
            sys.stderr.write((here.folder / "workers.log").read_text())
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
