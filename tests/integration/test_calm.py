"""A run that nothing befalls: whatever protects it, it would end well without that."""

from __future__ import annotations

import pytest

from tests.integration.harness import faults, has_ended, process, wait_until
from tests.integration.harness import work_off_queue as work
from tests.testapp.maintenance import CountUpInChunks
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.usefixtures("known_chunks")
def test_a_run_that_nothing_befalls_ends_well(items: list[Item]) -> None:
    run = CountUpInChunks.enqueue()
    with process(work) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []
    assert run.attempts == 1
