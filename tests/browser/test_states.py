"""Every page in every state, looked at by a machine that is hard to please."""

from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.browsing import Watch, each_look
from tests.browser.conftest import Open
from tests.browser.states import STATES, State

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
ASK_AXE = "options => axe.run(options).then(found => found.violations)"


@pytest.mark.parametrize("state", STATES, ids=str)
def test_a_page_has_no_fault(state: State, open_window: Open, server: str) -> None:
    with state.laid_out() as (user, path):
        page = open_window(user, reduced_motion="reduce")
        watch = Watch(page)
        page.goto(path)
        state.act(page)
        assert watch.status == state.status
        page.evaluate(AXE)
        faults = {look: faults_of(page, state, look) for look in each_look(page)}
        assert not any(faults.values()), faults
        assert watch.complaints(state.status) == []
        assert {f"http://{host}" for host in watch.hosts} == {server}
        if state.is_ours:
            assert page.evaluate("document.getAnimations().length") == 0


def faults_of(page: Page, state: State, look: str) -> list[str]:
    """Return what is wrong with a page as it looks now."""
    wide, room = page.evaluate(
        "[document.scrollingElement.scrollWidth, window.innerWidth]"
    )
    faults = [f"It is {wide} px wide."] if wide > room else []
    if state.is_ours:
        # In the dark nothing else is another.
        colors = {"runOnly": ["color-contrast", "link-in-text-block"]}
        wanted = colors if look.endswith("dark") else {}
        faults += map(told, page.evaluate(ASK_AXE, wanted))
    return faults


def told(violation: dict[str, Any]) -> str:
    """Say what axe found, and where."""
    where = [node["html"] for node in violation["nodes"]]
    return f"{violation['id']}: {violation['help']}: {where}"
