"""
For the tests of your tasks: run one here, stop it in between, do an item twice.

All of it works inside `django.test.TestCase` and pytest-django's `db`, where a test is
one transaction, and needs neither queue nor worker.
"""

from upkeep.testing.assertions import assert_idempotent, assert_resumable
from upkeep.testing.runs import run_inline, upload

__all__ = ["assert_idempotent", "assert_resumable", "run_inline", "upload"]
