"""What a page does about clicks that come twice, too late, or from nobody any more."""

import pytest
from django import forms
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.browsing import Watch, is_poll
from tests.browser.conftest import Open
from tests.browser.people import SETTLED
from tests.registering import registered
from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from upkeep.runs.models import Run
from upkeep.runs.status import Status

# A person's second click may come before or behind the first one's request.
CLICK_TWICE = """
button => {
  const submits = [];
  window.addEventListener("submit", event => submits.push(event), true);
  button.click();
  button.click();
  return submits.map(event => event.defaultPrevented);
}
"""

STOP_POLLS = "part => part.removeAttribute('data-live')"


@pytest.fixture
def page(open_window: Open, ada: User) -> Page:
    """Return a window in which time passes only when it is told to."""
    page = open_window(ada)
    page.clock.install()
    return page


def posts(watch: Watch) -> list[str]:
    return [each.url for each in watch.requests if each.method == "POST"]


def test_a_double_click_starts_one_run(page: Page) -> None:
    watch = Watch(page)
    page.goto("/upkeep/tasks/testapp.Numbers/")  # Any number of them may be active.
    button = page.get_by_role("button", name="Run")
    assert button.evaluate(CLICK_TWICE) == [False, True]
    page.wait_for_url("**/runs/*/")
    assert len(posts(watch)) == 1
    assert Run.objects.count() == 1


def test_a_double_click_starts_one_run_whatever_its_parameters_are_called(
    page: Page,
) -> None:
    """A form gives its fields away as attributes, before its own."""

    class Ship(Numbers):
        app_label = "testapp"
        method = forms.CharField(required=False)
        action = forms.CharField(required=False)

    with registered({"tests.Ship": Ship}):
        page.goto("/upkeep/tasks/testapp.Ship/")
        button = page.get_by_role("button", name="Run")
        assert button.evaluate(CLICK_TWICE) == [False, True]
        page.wait_for_url("**/runs/*/")
    assert Run.objects.count() == 1


def test_a_double_click_makes_one_wish(page: Page) -> None:
    """The second one would land on Resume, which then stands where Pause stood."""
    watch = Watch(page)
    run = run_in(Status.ENQUEUED)
    page.goto(f"/upkeep/runs/{run.pk}/")
    page.get_by_role("button", name="Pause").click()
    resume = page.get_by_role("button", name="Resume")
    resume.click()
    assert len(posts(watch)) == 1
    run.refresh_from_db()
    assert run.status == Status.PAUSED
    page.clock.run_for(SETTLED)
    resume.click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert len(posts(watch)) == 2


def test_a_page_that_comes_back_can_be_sent_again(page: Page) -> None:
    page.goto("/upkeep/tasks/testapp.Numbers/")
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/runs/*/")
    page.go_back()
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/runs/*/")
    assert Run.objects.count() == 2


def test_a_wish_that_is_refused_shows_why(page: Page) -> None:
    run = run_in(Status.RUNNING)
    page.goto(f"/upkeep/runs/{run.pk}/")
    page.locator("#live").evaluate(STOP_POLLS)
    run.move_to(Status.SUCCEEDED)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live").get_by_role("alert")).to_contain_text(
        "cannot be paused: its status is succeeded"
    )
    expect(page.get_by_text("Succeeded after")).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_wish_of_who_was_logged_out_shows_the_trouble(page: Page) -> None:
    run = run_in(Status.PAUSED)
    page.goto(f"/upkeep/runs/{run.pk}/")
    page.locator("#live").evaluate(STOP_POLLS)
    page.context.clear_cookies()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#trouble")).to_be_visible()
    run.refresh_from_db()
    assert run.status == Status.PAUSED


def test_who_is_logged_out_meanwhile_is_told_once(page: Page) -> None:
    watch = Watch(page)
    page.goto(f"/upkeep/runs/{run_in(Status.PAUSED).pk}/")
    expect(page.locator("#trouble")).to_be_hidden()
    page.context.clear_cookies()
    with page.expect_response(lambda answer: is_poll(answer.request)):
        page.clock.run_for(2_100)
    expect(page.get_by_role("alert")).to_contain_text("You may have been logged out")
    polls = len(watch.polls)
    page.clock.run_for(60_000)
    expect(page.get_by_role("alert")).to_have_count(1)
    assert len(watch.polls) == polls
