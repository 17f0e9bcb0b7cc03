"""What goes with every answer: a strict policy, and nothing that it would forbid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from tests.runs.stages import run_in
from tests.testapp.maintenance import Confide, Numbers
from tests.web.visits import (
    CALL,
    HANDLE,
    JSON,
    KINDS,
    PART,
    SEE,
    START,
    STEER,
    Markup,
    inline,
    letter_of,
    markup,
    text,
    to,
    visitor,
)
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db

ALL = (SEE, START, STEER, HANDLE)

# Every kind of answer there is: who asks, how, where, and what they are answered.
ANSWERS: list[tuple[int, tuple[str, ...] | None, str, str]] = [
    (200, ALL, "get", "/upkeep/"),
    (200, ALL, "get", "/upkeep/?q=nothing+at+all"),
    (200, ALL, "get", "/upkeep/tasks/testapp.Confide/"),
    (200, ALL, "get", "/upkeep/runs/{run}/"),
    (200, ALL, "head", "/upkeep/runs/{run}/"),
    (200, ALL, "get", "/upkeep/runs/{run}/progress/"),
    (302, None, "get", "/upkeep/"),
    (302, ALL, "post", "/upkeep/runs/{run}/pause/"),
    (302, ALL, "post", "/upkeep/tasks/testapp.Numbers/"),
    (403, None, "post", "/upkeep/runs/{run}/cancel/"),
    (403, (), "get", "/upkeep/"),
    (403, (SEE,), "post", "/upkeep/runs/{run}/pause/"),
    (404, ALL, "get", "/upkeep/runs/999999/"),
    (404, ALL, "get", "/upkeep/tasks/testapp.Nothing/"),
    (405, ALL, "put", "/upkeep/"),
    (302, ALL, "get", "/upkeep/runs/{run}/pause/"),
    (405, None, "put", "/upkeep/runs/{run}/pause/"),
    (409, ALL, "post", "/upkeep/runs/{run}/resume/"),
    (422, ALL, "post", "/upkeep/tasks/testapp.CountUpTo/"),
    (200, ALL, "get", "/upkeep/dead-letters/"),
    (200, ALL, "get", "/upkeep/dead-letters/{letter}/"),
    (200, ALL, "get", "/upkeep/runs/{run}/dead-letters/"),
    (200, ALL, "get", "/upkeep/calls/tests.testapp.calls.charge/"),
    (302, ALL, "post", "/upkeep/dead-letters/{letter}/retry/"),
    (403, (SEE,), "post", "/upkeep/dead-letters/{letter}/assign/"),
    (404, ALL, "get", "/upkeep/dead-letters/999999/"),
    (404, ALL, "get", "/upkeep/calls/nowhere.nothing/"),
    (422, ALL, "post", "/upkeep/runs/{run}/dead-letters/retry/"),
    (422, ALL, "post", "/upkeep/dead-letters/{letter}/discard/"),
]


@pytest.fixture(
    params=ANSWERS, ids=lambda answer: f"{answer[0]} {answer[2]} {answer[3]}"
)
def answer(request: pytest.FixtureRequest, client: Any) -> Any:
    status, permissions, method, url = request.param
    run = Numbers.enqueue()
    letter = letter_of(run)
    DeadLetter.objects.create(call=CALL, item="charge(1)")
    if permissions is not None:
        client = visitor(*permissions)
    answer = getattr(client, method)(url.format(run=run.pk, letter=letter.pk))
    assert answer.status_code == status
    return answer


class TestHeaders:
    def test_the_policy_goes_with_every_answer(self, answer: Any) -> None:
        assert answer["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            "img-src 'self' data:; connect-src 'self'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"

    def test_no_answer_is_kept_by_anybody(self, answer: Any) -> None:
        kept = {each.strip() for each in answer["Cache-Control"].split(",")}
        assert {"no-store", "private", "max-age=0"} <= kept

    def test_answers_depend_on_how_and_by_whom_they_are_asked_for(
        self, answer: Any
    ) -> None:
        varies = {each.strip() for each in answer["Vary"].split(",")}
        assert {"Accept", "HX-Request"} <= varies

    @pytest.mark.parametrize("headers", [JSON, PART], ids=["json", "part"])
    @pytest.mark.parametrize("url", ["/upkeep/", "/upkeep/runs/1234567/"])
    def test_go_with_data_and_parts_too(
        self, headers: dict[str, str], url: str
    ) -> None:
        answer = visitor(SEE).get(url, headers=headers)
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in answer["Cache-Control"]

    def test_the_policy_of_the_project_gives_way_to_ours(self) -> None:
        answer = visitor(SEE).get(to("task-list"))
        assert len(answer.headers["Content-Security-Policy"].split("default-src")) == 2

    @pytest.mark.parametrize(
        ("option", "ancestors"), [("DENY", "'none'"), ("SAMEORIGIN", "'self'")]
    )
    def test_a_page_of_the_project_may_frame_ours_where_its_setting_says_so(
        self, settings: Settings, option: str, ancestors: str
    ) -> None:
        settings.X_FRAME_OPTIONS = option
        answer = visitor(SEE).get(to("task-list"))
        policy = answer["Content-Security-Policy"]
        assert f"frame-ancestors {ancestors};" in policy

    @pytest.mark.parametrize(
        ("static_url", "host"),
        [
            ("https://static.example.com/s/", "https://static.example.com"),
            ("//static.example.com:8443/s/", "https://static.example.com:8443"),
            ("http://static.example.com/", "http://static.example.com"),
            ("/elsewhere/", ""),
        ],
    )
    def test_static_files_on_another_host_are_allowed(
        self, settings: Settings, static_url: str, host: str
    ) -> None:
        settings.STATIC_URL = static_url
        answer = visitor(SEE).get(to("task-list"))
        policy = answer["Content-Security-Policy"]
        sources = f"'self' {host}".strip()
        assert (
            f"script-src {sources}; style-src {sources}; img-src {sources} data:;"
            in (policy)
        )
        assert "connect-src 'self';" in policy
        (first, *_) = [each["src"] for each in markup(answer).all("script")]
        assert first.startswith(static_url)

    def test_files_that_were_never_collected_are_no_matter_to_data(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        settings.STATIC_ROOT = tmp_path
        storage = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
        settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": storage}}
        settings.STATIC_URL = "https://static.example.com/"
        run = Numbers.enqueue()
        client = visitor(*ALL)
        url = to("run", run.pk)
        answers = [
            client.get(url, headers=JSON),
            client.post(to("run-pause", run.pk)),
            client.get(to("run", 10**6), headers=PART),
            client.get("/upkeep/runs/7/pause/", headers=JSON),
        ]
        assert [each.status_code for each in answers] == [200, 302, 404, 405]
        for each in answers:
            policy = each["Content-Security-Policy"]
            assert "script-src 'self' https://static.example.com;" in policy
        with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
            client.get(url)


class TestInline:
    """Nothing in a page acts by itself, and nothing comes from elsewhere."""

    def test_nothing_in_any_kind_of_page(self, answer: Any) -> None:
        assert list(inline(markup(answer))) == []

    @pytest.mark.parametrize("status", list(Status))
    @pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)
    def test_nothing_in_any_status(
        self, status: Status, headers: dict[str, str]
    ) -> None:
        run = run_in(status, Numbers)
        client = visitor(*ALL)
        for url in (
            to("task-list"),
            to("task", "testapp.Numbers"),
            to("run", run.pk),
            to("run-progress", run.pk),
        ):
            answer = client.get(url, headers=headers)
            assert answer.status_code == 200
            assert list(inline(markup(answer))) == []

    def test_nothing_in_a_page_with_everything_on_it(self) -> None:
        run = Confide.run_now(story="a dark one")
        Run.objects.update(result={"a": 1}, metadata={"b": 2}, total=0)
        answer = visitor(*ALL).get(to("run", run.pk))
        assert list(inline(markup(answer))) == []

    @pytest.mark.parametrize(
        "planted",
        [
            "<script>1</script>",
            "<script src=></script>",
            "<style></style>",
            '<p style="x">',
            "<p onclick=x>",
            '<a href=" JavaScript:x">',
            '<img src="//other.example.com/x">',
            '<img src="https://other.example.com/x">',
        ],
    )
    def test_what_these_tests_look_for_is_found(self, planted: str) -> None:
        assert len(list(inline(Markup(planted)))) == 1

    def test_htmx_is_told_to_keep_to_the_policy(self) -> None:
        page = markup(visitor(SEE).get(to("task-list")))
        (config,) = page.named("htmx-config")
        assert '"allowEval": false' in config["content"]
        assert '"includeIndicatorStyles": false' in config["content"]
        assert "hx-on" not in text(visitor(SEE).get(to("task-list")))
