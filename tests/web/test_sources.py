"""The source of a task on its page."""

from __future__ import annotations

from html import unescape
from inspect import getsource

from django import forms
from django.utils.html import strip_tags

from tests.testapp.maintenance import CountSlowly, Numbers
from tests.web.visits import Markup
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


def test_keeps_what_the_secrets_are_made_of() -> None:
    """By a function, a constant of the class, in parts, or as a choice."""

    class Careless(Task):
        NAME = "everybody knows"
        BEGINNING, MIDDLE = "hush-hush", "murmur"
        ENDING = 9001

        def _made() -> str:  # type: ignore[misc]
            return f"made of {1 + 2} thieves"

        password: str = parameter(
            forms.CharField(
                initial=lambda: "whis" + Careless.MIDDLE + "per", help_text="Für alle."
            )
        )
        secret = forms.CharField(initial=BEGINNING + "-" + str(ENDING), required=False)
        token = forms.CharField(initial=_made)
        own_token = forms.ChoiceField(choices=[("pst", "Silence")], label="Own")
        shown = forms.CharField(initial=NAME)

        def process(self, item: str) -> None:
            """Do nothing with "it"."""

    page = source_of(Careless)
    assert page is not None
    code = Markup(page).words
    for word in ("whis", 'per"', "hush", "murmur", "9001", "thieves", "pst", "Silence"):
        assert word not in code
    for word in ("everybody knows", "Für alle.", "Own", 'Do nothing with "it".'):
        assert word in code
    assert "required = False" in code


def test_is_not_shown_where_secrets_cannot_be_found_in_it() -> None:
    class Careless(Task):
        text = """
a line at the margin: so indented, the code cannot stand by itself
"""
        secret = forms.CharField(initial="hush")

    assert source_of(Careless) is None
