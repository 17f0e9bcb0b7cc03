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
