"""Every page in every state, looked at by a machine that is hard to please."""

from importlib.resources import files
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import Page, expect
from pytest_django import Settings

from tests.browser.browsing import Watch, each_look
from tests.browser.conftest import Open
from tests.browser.states import STATES, State
from tests.runs.stages import run_in
from upkeep.runs.models import Run
from upkeep.runs.status import Status

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


# A window of 1,280 px at a zoom of 400 %.
NARROWEST = 320

CROWDED = {
    *("tasks-full", "task-form", "task-source", "run-traceback", "run-long_log"),
    *("run-dead_letters", "letters-open", "letters-all", "letter-traceback"),
}


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize(
    "state", [each for each in STATES if each.name in CROWDED], ids=str
)
def test_a_page_has_room_when_zoomed_and_from_right_to_left(
    state: State, language: str, open_window: Open, settings: Settings
) -> None:
    settings.LANGUAGE_CODE = language
    with state.laid_out() as (user, path):
        page = open_window(user)
        page.set_viewport_size({"width": NARROWEST, "height": 640})
        page.goto(path)
        state.act(page)
        assert page.evaluate("document.scrollingElement.scrollWidth") == NARROWEST
        for code in page.locator("pre").all():
            expect(code).to_have_css("direction", "ltr")


@pytest.mark.parametrize("colors", ["none", "active"])
def test_a_bar_is_seen_whoever_chooses_the_colours(
    open_window: Open, ada: User, colors: str
) -> None:
    run = run_in(Status.RUNNING)
    Run.objects.update(done=3, total=7)
    page = open_window(ada, forced_colors=colors, reduced_motion="reduce")
    page.goto(f"/upkeep/runs/{run.pk}/")
    shot = page.get_by_role("progressbar").screenshot()
    picture = Image.open(BytesIO(shot)).convert("RGB")
    done, left = (picture.width * part // 7 for part in (2, 5))
    middle = picture.height // 2
    assert picture.getpixel((done, middle)) != picture.getpixel((left, middle))


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
