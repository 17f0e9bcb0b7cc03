"""The source of a task on its page."""

from __future__ import annotations

from html import unescape
from inspect import getsource

from django import forms
from django.utils.html import strip_tags

from tests.testapp.maintenance import CountSlowly, Numbers
from upkeep import Task, parameter
from upkeep.web.sources import source_of


def test_is_shown_in_colours() -> None:
    code = source_of(Numbers)
    assert code is not None
    assert '<span class="code-k">class</span>' in code
    assert '<span class="code-kc">None</span>' in code
    assert '<span class="code-mi">8</span>' in code
    assert "style=" not in code


def test_has_a_colour_for_each_kind_of_word() -> None:
    code = source_of(CountSlowly)
    assert code is not None
    assert '<span class="code-mf">0.05</span>' in code
    assert '<span class="code-bp">self</span>' in code
    assert '<span class="code-nc">CountSlowly</span>' in code


def test_reads_as_it_is_written() -> None:
    code = source_of(CountSlowly)
    assert code is not None
    assert unescape(strip_tags(code)) == getsource(CountSlowly)


def test_is_escaped() -> None:
    class Marked(Task):
        """<b>Bold.</b>"""  # noqa: D400, D415 - that is what is tried

    code = source_of(Marked)
    assert code is not None
    assert "<b>" not in code
    assert "&lt;b&gt;" in code


def test_is_none_where_a_class_has_none() -> None:
    made = type("Made", (Task,), {"abstract": True, "__module__": "nowhere"})
    assert source_of(made) is None


def test_keeps_the_secrets_that_stand_in_it() -> None:
    class Careless(Task):
        api_key: str = parameter(forms.CharField(initial="hush-hush-9001"))
        name: str = parameter(forms.CharField(initial="everybody knows"))

    code = source_of(Careless)
    assert code is not None
    assert "hush-hush-9001" not in code
    assert "[FILTERED]" in code
    assert "everybody knows" in code
