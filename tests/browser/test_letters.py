"""What a person does with dead letters, in three ways."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.browsing import Watch
from tests.browser.conftest import Open
from tests.browser.people import Person, Purist, Typist
from tests.runs.stages import run_in
from upkeep.runs.models import Run
from upkeep.runs.status import Status

KINDS = pytest.mark.parametrize("kind", [Person, Typist, Purist])


@pytest.fixture
def run(server: str) -> Run:
    """Return a run with three dead letters."""
    run = run_in(Status.SUCCEEDED)
    Run.objects.update(failed=3)
    for number in (1, 2, 3):
        run.dead_letters.create(item=f"item {number}", error_class="shop.Unlisted")
    return run


@KINDS
def test_they_are_found_chosen_and_seen_to(
    kind: type[Person], open_window: Open, ada: User, run: Run
) -> None:
    page = open_window(ada, **kind.window)
    person = kind(page)
    page.goto("/upkeep/")
    person.follow("Some dead letters are open: items and calls that failed for good.")
    person.follow(f"Run {run.pk}")

    choose(page, "item 1")
    person.press("Discard")
    person.see("Say why they are given up.")
    expect(page.get_by_role("checkbox", name="item 1")).to_be_checked()
    person.fill_in("Reason", "A test order.")
    person.press("Discard")
    person.see("1 dead letter was discarded.")

    choose(page, "item 2")
    person.fill_in("Note", "I ask the supplier.")
    person.press("Assign to me")
    person.see("1 dead letter is yours now.")
    person.see("I ask the supplier.")

    choose(page, "All that are open, on every page")
    person.fill_in("Items a second at most", "2.5")
    person.press("Retry")
    person.see("2 dead letters were handed to this run.")
    assert Run.objects.get(parent=run).rate == 2.5


ALL_ON_PAGE = "All on this page"


def test_all_on_a_page_are_chosen_at_once(
    open_window: Open, ada: User, run: Run
) -> None:
    page = open_window(ada)
    page.goto(f"/upkeep/runs/{run.pk}/dead-letters/")
    whole = page.get_by_role("checkbox", name=ALL_ON_PAGE)
    boxes = page.get_by_role("checkbox", name="item")
    whole.check()
    assert [box.is_checked() for box in boxes.all()] == [True] * 3
    boxes.first.uncheck()
    expect(whole).to_be_checked(indeterminate=True)
    boxes.first.check()
    expect(whole).to_be_checked()
    whole.uncheck()
    assert [box.is_checked() for box in boxes.all()] == [False] * 3
    whole.check()
    page.get_by_label("Note").fill("All mine.")
    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator("body")).to_contain_text("3 dead letters are yours now.")


def test_without_javascript_nothing_is_offered_that_needs_it(
    open_window: Open, ada: User, run: Run
) -> None:
    page = open_window(ada, **Purist.window)
    page.goto(f"/upkeep/runs/{run.pk}/dead-letters/")
    expect(page.get_by_label("All that are open")).to_be_visible()
    expect(page.get_by_text(ALL_ON_PAGE)).to_be_hidden()


@pytest.fixture
def many(run: Run) -> Run:
    for number in range(4, 60):
        run.dead_letters.create(item=f"item {number}", error_class="shop.Unlisted")
    return run


def test_what_one_does_with_them_is_in_sight_of_a_long_list(
    open_window: Open, ada: User, many: Run
) -> None:
    page = open_window(ada, viewport={"width": 1280, "height": 900})
    page.goto(f"/upkeep/runs/{many.pk}/dead-letters/")
    for name in ("Retry", "Discard", "Assign to me"):
        button = page.get_by_role("button", name=name)
        expect(button).to_be_in_viewport()
    page.get_by_role("checkbox", name="item 59").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.evaluate(IS_SEEN), focused.evaluate("e => e.outerHTML")


# No other element lies over its middle.
IS_SEEN = """
element => {
  const { x, y, width, height } = element.getBoundingClientRect();
  const seen = document.elementFromPoint(x + width / 2, y + height / 2);
  return element === seen || element.contains(seen);
}
"""


@pytest.mark.parametrize("kind", [Person, Purist])
def test_a_phone_has_the_way_to_it_in_sight(
    kind: type[Person], open_window: Open, ada: User, many: Run
) -> None:
    page = open_window(ada, viewport={"width": 390, "height": 844}, **kind.window)
    page.goto(f"/upkeep/runs/{many.pk}/dead-letters/")
    way = page.get_by_role("link", name="See to those that are chosen")
    expect(way).to_be_in_viewport()
    expect(page.get_by_role("button", name="Retry")).not_to_be_in_viewport()
    way.click()
    expect(page.get_by_role("button", name="Retry")).to_be_in_viewport()


def choose(page: Page, name: str) -> None:
    """Tick a box as the keyboard does, which a mouse comes to as well."""
    page.get_by_role("checkbox", name=name).focus()
    page.keyboard.press("Space")


@pytest.mark.parametrize("label", ["Items a second at most", "Reason", "Note"])
def test_return_in_a_field_of_the_list_does_nothing(
    open_window: Open, ada: User, run: Run, label: str
) -> None:
    """There are three buttons, and nobody could know which one it would press."""
    page = open_window(ada)
    watch = Watch(page)
    page.goto(f"/upkeep/runs/{run.pk}/dead-letters/")
    choose(page, "item 1")
    page.get_by_label(label).fill("2")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Discarded").click()
    page.wait_for_url("**state=discarded")
    assert [each for each in watch.requests if each.method == "POST"] == []
