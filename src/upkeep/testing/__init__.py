"""
For the tests of your tasks: run one here, stop or throttle it, do an item twice.

All of it works inside `django.test.TestCase` and pytest-django's `db`, where a test is
one transaction, and needs neither queue nor worker.
"""

from upkeep.testing.assertions import assert_idempotent, assert_resumable
from upkeep.testing.calls import call_inline
from upkeep.testing.runs import run_inline, upload
from upkeep.testing.throttles import assert_throttled, throttled

__all__ = [
    "assert_idempotent",
    "assert_resumable",
    "assert_throttled",
    "call_inline",
    "run_inline",
    "throttled",
    "upload",
]
