"""Pictures of every page in every state, narrow and wide, light and dark."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.core.management import call_command

from tests.servers import sqlite
from tests.sweeping import still_pages
from tools import servers

FOLDER = Path("build/screenshots")

# What README shows: the address of the picture there, and which of them all it is.
README = ("--readme", Path("docs/images/run.png"), "run-parameters", "1280-light")


def main(*wanted: str) -> None:
    """
    Take the pictures of the states whose names contain a word; without one, all.

    `--readme` takes the one that README shows, and puts it there.
    """
    option, shown, state, look = README
    if option in wanted:
        wanted = (state,)
    servers.provide("chromium")
    with sqlite() as database:
        os.environ["UPKEEP_TEST_DATABASE"] = json.dumps(database)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        with served() as address:
            count = shoot(address, wanted)
    print(f"{count} pictures in {FOLDER.resolve()}")
    if option in sys.argv:
        shutil.copy(FOLDER / f"{state}-{look}.png", shown)
        print(f"One of them is {shown} now.")


@contextmanager
def served() -> Iterator[str]:
    """Serve the pages and their static files from a thread; yield the address."""
    from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: PLC0415
    from django.test import override_settings  # noqa: PLC0415
    from django.test.testcases import LiveServerThread  # noqa: PLC0415

    from tests.browser.browsing import SETTINGS  # noqa: PLC0415

    thread = LiveServerThread("127.0.0.1", StaticFilesHandler)
    with override_settings(ALLOWED_HOSTS=["127.0.0.1"], **SETTINGS), still_pages():
        thread.daemon = True
        thread.start()
        thread.is_ready.wait()
        if thread.error:
            raise thread.error
        try:
            yield f"http://127.0.0.1:{thread.port}"
        finally:
            thread.terminate()


def shoot(address: str, wanted: tuple[str, ...]) -> int:
    """Take the pictures, and return how many."""
    # Models can be imported only now that Django is set up.
    from tests.browser.browsing import chromium, each_look, window  # noqa: PLC0415
    from tests.browser.states import STATES  # noqa: PLC0415

    count = 0
    if not wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for state in STATES:
            if wanted and not any(word in state.name for word in wanted):
                continue
            call_command("flush", verbosity=0, interactive=False)
            with (
                state.laid_out() as (user, path),
                window(browser, address, user) as page,
            ):
                page.goto(path)
                state.act(page)
                for look in each_look(page):
                    file = FOLDER / f"{state.name}-{look}.png"
                    page.screenshot(path=file, full_page=True)
                    count += 1
    return count


if __name__ == "__main__":
    main(*sys.argv[1:])
