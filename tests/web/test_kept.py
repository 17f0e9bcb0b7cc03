"""A file that came with a form that was refused need not be chosen again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django import forms
from django.core import signing
from django.core.files.storage import InMemoryStorage, Storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.testapp.maintenance import Numbers
from tests.web.conftest import Know
from tests.web.visits import JSON, SEE, START, Markup, markup, text, to, visitor
from upkeep import Task, parameter
from upkeep.forms import CSVField
from upkeep.runs.models import Run
from upkeep.tasks import uploads
from upkeep.tasks.uploads import StoredFile
from upkeep.web import kept

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

TOKEN = "csv-kept"
POSTS = b"name,n\n" + b"a,1\n" * 3000


@pytest.fixture
def client() -> Client:
    return visitor(SEE, START)


class Import(Numbers):
    """Take a file, and something that can be wrong."""

    abstract = True
    csv: Any = parameter(CSVField(columns=["name"]))
    n: int = parameter(forms.IntegerField())
    more: Any = parameter(forms.FileField(required=False))


@pytest.fixture
def task(known: Know[type[Task]]) -> type[Task]:
    members = {"__module__": __name__, "__qualname__": "<locals>.Trial"}
    return known(type("Trial", (Import,), members))


@pytest.fixture
def url(task: type[Task]) -> str:
    return to("task", task.label())


def posts(content: bytes = POSTS, name: str = "posts.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def stored() -> list[str]:
    """Return the places of all files in the storage."""

    def below(folder: str) -> list[str]:
        folders, files = uploads.storage().listdir(folder)
        found = [f"{folder}/{each}" for each in files]
        return found + [name for each in folders for name in below(f"{folder}/{each}")]

    return below(".") if uploads.storage().exists(".") else []


def token_of(page: Markup, name: str = TOKEN) -> str:
    (field,) = page.named(name)
    assert field["type"] == "hidden"
    return field["value"]


def refused(client: Client, url: str, **given: Any) -> Markup:
    answer = client.post(url, {"n": "x"} | given)
    assert answer.status_code == 422
    return markup(answer)


def content_of(run: Run) -> bytes:
    file: StoredFile = run.task_class.restore(run.parameters).values["csv"].file
    with file.open() as opened:
        content: bytes = opened.read()
    return content


class TestKept:
    def test_the_page_says_so(self, client: Client, url: str) -> None:
        page = refused(client, url, csv=posts())
        sentence = "posts.csv (11.7 KB) is kept; choose another file to replace it."
        assert sentence in page.words.replace("\xa0", " ")
        (field,) = page.named("csv")
        assert "required" not in field
        assert "csv_helptext" in field["aria-describedby"]

    def test_it_need_not_be_uploaded_again(self, client: Client, url: str) -> None:
        token = token_of(refused(client, url, csv=posts()))
        answer = client.post(url, {"n": "1", TOKEN: token})
        assert answer.status_code == 302
        run = Run.objects.get()
        assert content_of(run) == POSTS
        assert run.parameters["csv"]["name"] == "posts.csv"

    def test_the_run_has_the_only_copy_in_the_end(
        self, client: Client, url: str
    ) -> None:
        token = token_of(refused(client, url, csv=posts()))
        client.post(url, {"n": "1", TOKEN: token})
        assert len(stored()) == 1

    def test_wrong_twice_it_is_the_same_copy(self, client: Client, url: str) -> None:
        token = token_of(refused(client, url, csv=posts()))
        again = refused(client, url, **{TOKEN: token})
        assert token_of(again) == token
        assert len(stored()) == 1
        assert client.post(url, {"n": "1", TOKEN: token}).status_code == 302

    def test_another_file_replaces_it(self, client: Client, url: str) -> None:
        token = token_of(refused(client, url, csv=posts()))
        page = refused(client, url, csv=posts(name="new.csv"), **{TOKEN: token})
        assert "new.csv" in page.words
        new = token_of(page)
        answer = client.post(url, {"n": "1", TOKEN: new, "csv": posts(b"name\nb\n")})
        assert answer.status_code == 302
        assert content_of(Run.objects.get()) == b"name\nb\n"

    def test_so_it_is_where_the_same_is_active(
        self, client: Client, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Numbers, "concurrency", 1)
        given = {"n": "1", "csv": posts()}
        assert client.post(url, given).status_code == 302
        answer = client.post(url, given | {"csv": posts()})
        assert answer.status_code == 409
        assert token_of(markup(answer))

    def test_each_field_has_its_own(self, client: Client, url: str) -> None:
        more = SimpleUploadedFile("more.txt", b"more")
        page = refused(client, url, csv=posts(), more=more)
        tokens = {name: token_of(page, name) for name in (TOKEN, "more-kept")}
        assert client.post(url, {"n": "1"} | tokens).status_code == 302
        assert Run.objects.get().parameters["more"]["name"] == "more.txt"


class TestNotKept:
    def test_what_is_wrong_itself(self, client: Client, url: str) -> None:
        page = refused(client, url, csv=posts(b"id\n1\n"))
        assert page.named(TOKEN) == []
        assert stored() == []

    def test_what_is_masked(self, client: Client, task: type[Task], url: str) -> None:
        task.masked = ("csv",)
        answer = client.post(url, {"n": "x", "csv": posts()})
        assert answer.status_code == 422
        assert "posts.csv" not in text(answer)
        assert stored() == []

    def test_what_a_program_sends(self, client: Client, url: str) -> None:
        answer = client.post(url, {"n": "x", "csv": posts()}, headers=JSON)
        assert answer.status_code == 422
        assert stored() == []

    def test_where_the_storage_chooses_other_names(
        self, client: Client, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Wilful(InMemoryStorage):
            def get_available_name(
                self, name: str, max_length: int | None = None
            ) -> str:
                return f"{name}.bak"

        wilful: Storage = Wilful()
        monkeypatch.setattr(uploads, "storage", lambda: wilful)
        assert refused(client, url, csv=posts()).named(TOKEN) == []
        assert stored() == []


class TestToken:
    GONE = "The file is no longer kept. Choose it again."

    @pytest.fixture
    def token(self, client: Client, url: str) -> str:
        return token_of(refused(client, url, csv=posts()))

    def is_gone(self, client: Client, url: str, token: str, name: str = TOKEN) -> None:
        given = {"n": "1", name: token}
        if name != TOKEN:
            given["csv"] = posts()  # type: ignore[assignment]
        answer = client.post(url, given)
        assert answer.status_code == 422
        assert self.GONE in markup(answer).words
        assert not Run.objects.exists()

    def test_is_of_no_use_to_somebody_else(self, url: str, token: str) -> None:
        self.is_gone(visitor(SEE, START), url, token)

    def test_is_of_no_use_for_another_field(
        self, client: Client, url: str, token: str
    ) -> None:
        self.is_gone(client, url, token, "more-kept")

    def test_is_of_no_use_for_another_task(
        self, client: Client, token: str, known: Know[type[Task]]
    ) -> None:
        other = known(type("Other", (Import,), {"__module__": __name__}))
        self.is_gone(client, to("task", other.label()), token)

    def test_that_was_changed_is_none(
        self, client: Client, url: str, token: str
    ) -> None:
        for changed in ("x", f"x{token}", token.swapcase(), token.replace(":", "")):
            self.is_gone(client, url, changed)

    def test_ends_before_the_sweep_may_come(
        self,
        client: Client,
        url: str,
        token: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert kept.LIFE < timedelta(days=1)
        monkeypatch.setattr(kept, "LIFE", timedelta(seconds=-1))
        self.is_gone(client, url, token)

    @pytest.mark.parametrize("field", ["csv", "more"])
    def test_that_is_used_twice_at_once_starts_one_run(
        self,
        client: Client,
        url: str,
        field: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The other request has removed the file when this one comes to read it."""
        page = refused(client, url, csv=posts(), more=posts(name="more.csv"))
        tokens = {name: token_of(page, name) for name in (TOKEN, "more-kept")}
        find = kept.Keeper.find

        def find_at_the_last_moment(keeper: Any, name: str, token: str) -> Any:
            found = find(keeper, name, token)
            if found and name == field:
                uploads.remove(found.file.storage_name)
            return found

        monkeypatch.setattr(kept.Keeper, "find", find_at_the_last_moment)
        answer = client.post(url, {"n": "1"} | tokens)
        assert answer.status_code == 409
        assert "is no longer in the storage" in markup(answer).words
        assert not Run.objects.exists()

    def test_that_cannot_be_removed_starts_the_run(
        self, client: Client, url: str, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(file: StoredFile) -> None:
            raise OSError("the storage is away")

        monkeypatch.setattr(uploads, "delete", fail)
        assert client.post(url, {"n": "1", TOKEN: token}).status_code == 302
        assert Run.objects.count() == 1

    def test_is_used_once(self, client: Client, url: str, token: str) -> None:
        given = {"n": "1", TOKEN: token}
        assert client.post(url, given).status_code == 302
        assert client.post(url, given).status_code == 422
        assert Run.objects.count() == 1

    def test_where_the_file_was_swept_it_is_asked_for_again(
        self, client: Client, url: str, token: str
    ) -> None:
        (place,) = stored()
        uploads.storage().delete(place)
        self.is_gone(client, url, token)

    def test_does_not_tell_where_the_file_is(self, url: str, token: str) -> None:
        (place,) = stored()
        folder = place.split("/")[-2]
        assert len(folder) == 32
        told = str(signing.b64_decode(token.partition(":")[0].encode()))
        for part in (folder, folder[:24], folder[:8], folder[-8:]):
            assert part not in told + token
