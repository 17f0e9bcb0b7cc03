"""A page of the project that shows a run stays the project's in all else."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.browsing import Watch
from tests.browser.conftest import Open
from tests.browser.test_polling import LONG, next_answer
from tests.runs.stages import run_in
from upkeep.runs.models import Run
from upkeep.runs.status import Status

# What a project may have beside the run: a part of its own, and a form that it sends
# by its own script.
OF_THE_HOST = """
document.querySelector("main").insertAdjacentHTML("beforeend", `
  <div class="live" hx-get="/shop/news/" hx-trigger="news">Old</div>
  <form method="post"><button>Add to the cart</button></form>
`);
htmx.process(document.querySelector("main"));
window.sent = 0;
document.querySelector("form").addEventListener("submit", event => {
  event.preventDefault();
  window.sent += 1;
});
"""


@pytest.fixture
def run(server: str) -> Run:
    return run_in(Status.RUNNING)


@pytest.fixture
def page(open_window: Open, ada: User, run: Run) -> Page:
    """Return a window in which time passes only when it is told to."""
    page = open_window(ada)
    page.clock.install()
    page.goto(f"/shop/{run.pk}/")
    page.wait_for_load_state()
    page.evaluate(OF_THE_HOST)
    return page


def test_its_forms_can_be_sent_again_and_again(page: Page) -> None:
    for _ in range(2):
        page.get_by_role("button", name="Add to the cart").click()
    assert page.evaluate("window.sent") == 2


def test_its_own_parts_are_fetched(page: Page) -> None:
    page.route("**/shop/news/", lambda route: route.fulfill(body="New"))
    page.evaluate("htmx.trigger('.live', 'news')")
    expect(page.locator(".live")).to_have_text("New")


def test_the_run_is_shown_as_it_goes_on(page: Page, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(done=3, total=7)
    assert next_answer(page).status == 200
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")


def test_who_is_logged_out_is_asked_for_nothing_any_more(page: Page) -> None:
    watch = Watch(page)
    page.context.clear_cookies()
    assert next_answer(page).status == 403
    page.clock.run_for(LONG)
    assert len(watch.polls) == 1
