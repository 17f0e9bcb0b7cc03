"""A live part asks for news while somebody looks and something is under way."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, Response, expect

from tests.browser.browsing import Watch, is_poll
from tests.browser.conftest import Open
from tests.runs.stages import run_in
from tests.testapp.maintenance import Slowly
from upkeep.runs.models import Run
from upkeep.runs.status import Status

LONG = 60_000  # milliseconds
HIDE = """
window.isHidden = true;
Object.defineProperty(Document.prototype, "hidden", {get: () => window.isHidden});
"""


@pytest.fixture
def page(open_window: Open, ada: User) -> Page:
    """Return a window in which time passes only when it is told to."""
    page = open_window(ada)
    page.clock.install()
    return page


def is_answer(response: Response) -> bool:
    return is_poll(response.request)


def next_answer(page: Page) -> Response:
    """Let time pass until a live part has asked; return what it was told."""
    with page.expect_response(is_answer) as answer:
        page.clock.run_for(2_100)
    return answer.value


def test_no_news_are_no_content(page: Page) -> None:
    page.goto(f"/upkeep/runs/{run_in(Status.PAUSED).pk}/")
    assert next_answer(page).status == 204
    assert next_answer(page).status == 204


def test_nothing_flickers_while_it_is_asked(page: Page) -> None:
    page.goto(f"/upkeep/runs/{run_in(Status.PAUSED).pk}/")
    page.route("**/runs/**", lambda route: None)  # The answer does not come.
    with page.expect_request(is_poll):
        page.clock.run_for(2_100)
    expect(page.get_by_role("button", name="Resume")).to_have_css("opacity", "1")
    assert page.locator("#live.htmx-request").count() == 1


def test_it_ends_with_the_run(page: Page) -> None:
    watch = Watch(page)
    run = run_in(Status.RUNNING)
    page.goto(f"/upkeep/runs/{run.pk}/")
    run.move_to(Status.SUCCEEDED)
    assert next_answer(page).status == 200
    expect(page.locator("body")).to_contain_text("Succeeded after")
    polls = len(watch.polls)
    page.clock.run_for(LONG)
    assert len(watch.polls) == polls


def test_what_is_typed_into_a_form_stays(page: Page) -> None:
    run = run_in(Status.RUNNING, Slowly, numbers=5)
    page.goto(f"/upkeep/tasks/{run.task}/")
    page.get_by_label("Numbers").fill("123")
    Run.objects.filter(pk=run.pk).update(done=3, total=7)
    assert next_answer(page).status == 200
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")
    expect(page.get_by_label("Numbers")).to_have_value("123")


def test_a_hidden_page_asks_only_when_it_is_shown_again(page: Page) -> None:
    watch = Watch(page)
    page.add_init_script(HIDE)
    page.goto(f"/upkeep/runs/{run_in(Status.PAUSED).pk}/")
    page.clock.run_for(LONG)
    assert watch.polls == []
    with page.expect_response(is_answer):
        page.evaluate(
            "window.isHidden = false;"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_another_status_is_announced_and_nothing_else_is(page: Page) -> None:
    run = run_in(Status.RUNNING)
    page.goto(f"/upkeep/runs/{run.pk}/")
    announcement = page.locator("#announcement")
    Run.objects.update(done=3, total=7)
    next_answer(page)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")
    expect(announcement).to_be_empty()
    run.pause()
    next_answer(page)
    expect(announcement).to_have_text("Pausing")


def test_who_is_logged_out_is_asked_for_nothing_any_more(page: Page) -> None:
    watch = Watch(page)
    page.goto(f"/upkeep/runs/{run_in(Status.PAUSED).pk}/")
    page.context.clear_cookies()
    assert next_answer(page).status == 403
    polls = len(watch.polls)
    page.clock.run_for(LONG)
    assert len(watch.polls) == polls
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_who_looks_is_told_while_the_server_does_not_answer(page: Page) -> None:
    page.goto(f"/upkeep/runs/{run_in(Status.PAUSED).pk}/")
    silence = page.get_by_text("The server does not answer.")
    for trouble in (
        lambda route: route.abort(),
        lambda route: route.fulfill(status=500, body="The database is away."),
    ):
        page.route("**/runs/**", trouble)
        expect(silence).to_be_hidden()
        with page.expect_request(is_poll):
            page.clock.run_for(2_100)
        expect(silence).to_be_visible()
        page.unroute("**/runs/**")
        assert next_answer(page).status == 204
        expect(silence).to_be_hidden()


class TestFocus:
    """The keyboard's place outlives the exchange of the part that it is in."""

    def test_on_a_link_of_the_list(self, page: Page) -> None:
        run = run_in(Status.RUNNING)
        page.goto("/upkeep/")
        self.stays(page, run, page.get_by_role("link", name=f"Run {run.pk}"))

    def test_on_a_task_of_the_list(self, page: Page) -> None:
        run = run_in(Status.RUNNING)
        page.goto("/upkeep/")
        self.stays(page, run, page.get_by_role("link", name="testapp.Numbers"))

    def test_on_a_run_of_its_task(self, page: Page) -> None:
        run = run_in(Status.RUNNING)
        page.goto(f"/upkeep/tasks/{run.task}/")
        self.stays(page, run, page.get_by_role("link", name=f"Run {run.pk}"))

    def test_on_a_button_of_the_run(self, page: Page) -> None:
        run = run_in(Status.RUNNING)
        page.goto(f"/upkeep/runs/{run.pk}/")
        self.stays(page, run, page.get_by_role("button", name="Cancel"))

    def stays(self, page: Page, run: Run, target: Locator) -> None:
        target.focus()
        Run.objects.filter(pk=run.pk).update(done=3, total=7)
        assert next_answer(page).status == 200
        expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")
        expect(target).to_be_focused()

    def test_when_its_button_is_gone_is_near_by(self, page: Page) -> None:
        run = run_in(Status.RUNNING)
        page.goto(f"/upkeep/runs/{run.pk}/")
        page.get_by_role("button", name="Cancel").focus()
        run.move_to(Status.SUCCEEDED)
        next_answer(page)
        expect(page.get_by_text("Succeeded after")).to_be_visible()
        expect(page.locator("body :focus")).to_have_count(1)
