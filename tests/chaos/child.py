"""Play a scenario in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from tests.chaos.machines import ROOT
from tests.servers import end_with_parent

# Each scenario, which is a function of its name, and the module where it is.
SCENARIOS = {
    "chaos": "tests.chaos.chaos",
    "restarts": "tests.chaos.chaos",
    "stops": "tests.chaos.stops",
    "takeovers": "tests.chaos.takeovers",
}


def measured(scenario: str, **options: Any) -> dict[str, Any]:
    """Return the figures of a scenario; what it says is said here, too."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", scenario, json.dumps(options)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=end_with_parent(signal.SIGTERM),
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
