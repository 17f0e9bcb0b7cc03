"""What a person does from the login to the end of a run, in three ways."""

import re
from pathlib import Path
from subprocess import Popen

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from tests.browser.browsing import Watch
from tests.browser.conftest import Open
from tests.browser.people import Person, Purist, Typist
from tests.testapp.maintenance import CountUpTo, ImportItems
from tests.testapp.models import Item
from upkeep.runs.models import Run
from upkeep.runs.status import Status

KINDS = pytest.mark.parametrize("kind", [Person, Typist, Purist])


@KINDS
def test_a_run_can_be_started_watched_and_steered(
    kind: type[Person], open_window: Open, ada: User, worker: Popen[str]
) -> None:
    page = open_window(**kind.window)
    person = kind(page)

    page.goto("/upkeep/")
    person.fill_in("Username", "ada")
    person.fill_in("Password", "lovelace")
    person.press("Log in")
    person.see("Tasks")
    watch = Watch(page)

    person.fill_in("Search tasks", "so many seconds")
    person.press("Search")
    person.follow("testapp.Slowly")

    person.fill_in("Seconds", "0.07")
    person.fill_in("Numbers", "1.5")
    person.press("Run")
    person.see("Enter a whole number.")
    assert watch.status == 422
    expect(page.get_by_label("Numbers")).to_have_value("1.5")
    expect(page.get_by_label("Seconds")).to_have_value("0.07")

    person.fill_in("Numbers", "2000")
    person.press("Run")
    person.see("Running for")
    loads = count_loads(page)
    person.see_it_move()

    person.press("Pause")
    person.see("Paused after")
    person.see("Paused by ada.")
    assert Run.objects.get().status == Status.PAUSED

    person.think()
    person.press("Resume")
    person.see("Running for")
    person.see_it_move()

    person.press("Cancel")
    person.see("Cancelled after")
    assert Run.objects.get().status == Status.CANCELLED
    assert watch.complaints(refused=422) == []
    if kind is not Purist:
        assert loads == []


@KINDS
def test_an_error_is_told_and_the_run_resumed(
    kind: type[Person], open_window: Open, ada: User, worker: Popen[str]
) -> None:
    Item.objects.bulk_create(Item(name=str(n)) for n in range(9))
    bad = Item.objects.order_by("-pk").first()
    assert bad is not None
    page = open_window(ada, **kind.window)
    watch, person = Watch(page), kind(page)

    page.goto(f"/upkeep/tasks/{CountUpTo.label()}/")
    person.fill_in("Up to", str(bad.pk - 1))
    person.press("Run")
    person.see("Stopped at an error")
    person.see(f"{bad.pk} is beyond {bad.pk - 1}")

    bad.delete()
    person.press("Resume")
    person.see("Succeeded after")
    assert Run.objects.get().status == Status.SUCCEEDED
    assert watch.complaints() == []


@KINDS
def test_a_file_need_not_be_chosen_twice(
    kind: type[Person], open_window: Open, ada: User, settings: Settings, tmp_path: Path
) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"upkeep": memory}
    path = tmp_path / "items.csv"
    path.write_text("name,n\n")
    active = ImportItems.enqueue(csv_file=path)
    page = open_window(ada, **kind.window)
    watch, person = Watch(page), kind(page)

    page.goto(f"/upkeep/tasks/{ImportItems.label()}/")
    page.get_by_label("Csv file").set_input_files(path)
    person.press("Run")
    person.see("is kept; choose another file to replace it.")

    active.cancel()
    person.press("Run")
    expect(page).to_have_url(re.compile(r"/runs/\d+/$"))
    person.see("items.csv")
    assert Run.objects.filter(status=Status.ENQUEUED).count() == 1
    assert watch.complaints(refused=409) == []


def count_loads(page: Page) -> list[str]:
    """Return a list to which each page adds itself that is loaded from now on."""
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    return loads
