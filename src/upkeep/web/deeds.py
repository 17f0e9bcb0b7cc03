"""What a person does with dead letters: the form, the deed, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from upkeep.exceptions import (
    AlreadyActive,
    InvalidCall,
    InvalidParameters,
    NoOpenLetters,
    QueueRefused,
    TaskNotFound,
)
from upkeep.runs.sources import Source, moves_from
from upkeep.web.answers import CREATED, run_as_json, url_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

    from upkeep.runs.dead_letters import DeadLetterQuerySet
    from upkeep.web.shelves import Filter, Shelf

# So many letters one request may take; they need a second, or some.
AT_MOST = 10_000
# A message is sent for each call.
CALLS_AT_MOST = 500

REFUSALS = (AlreadyActive, InvalidCall, NoOpenLetters, QueueRefused, TaskNotFound)

ALL = "all"


class Reason(forms.CharField):
    """Why letters are given up; whoever does something else with them needs none."""

    def validate(self, value: str) -> None:
        """Leave it to the deed, which knows whether it needs one."""


class HandlingForm(forms.Form):
    """What a person may say about the letters that are to be seen to."""

    use_required_attribute = False

    rate = forms.FloatField(
        label=gettext_lazy("Items a second at most"),
        help_text=gettext_lazy("Leave it empty for as fast as it goes."),
        required=False,
        widget=forms.NumberInput(attrs={"step": "any", "min": "0"}),
    )
    reason = Reason(label=gettext_lazy("Reason"))
    note = forms.CharField(
        label=gettext_lazy("Note"),
        help_text=gettext_lazy("What others should know."),
        required=False,
    )

    def refuse(self, error: InvalidParameters) -> None:
        """Show what is wrong, beside the fields where it is."""
        for name, sentences in error.errors.items():
            self.add_error(name if name in self.fields else None, sentences)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The letters that a form names."""

    letters: DeadLetterQuerySet
    shelf: Shelf
    one: int | None = None
    """The number of the letter on whose own page the form stands."""

    is_cut: bool = False
    """Whether there are more that fit, too many for a request."""

    cause: str = ""

    @property
    def url(self) -> str:
        """Return the page on which the form stands."""
        if self.one is None:
            return self.shelf.url()
        return reverse("upkeep:letter", args=[self.one])

    def with_rest(self, sentence: str, verb: str = "") -> str:
        """Return a sentence with what to do about those that were too many."""
        if not self.is_cut:
            return sentence
        sentence += " " + _(
            "These are the oldest that fit: a page takes no more at once."
        )
        if not verb:
            return sentence
        cause = f" --cause {self.cause[:12]}" if self.cause else ""
        command = f"manage.py upkeep {verb} {self.shelf.command}{cause}"
        return f"{sentence} " + _(
            "Go on with the others likewise, or with all of them by: %(command)s"
        ) % {"command": command}


def chosen(shelf: Shelf, wanted: Filter, sent: Any) -> Choice | None:
    """Return the letters that a form names; None where it names none."""
    if sent.get(ALL):
        at_most = AT_MOST if shelf.run else CALLS_AT_MOST
        fitting = wanted.among(shelf.letters)
        first = fitting.first_ones(at_most)
        return Choice(
            letters=first,
            shelf=shelf,
            is_cut=first is not fitting and _has_more(fitting, at_most),
            cause=wanted.cause,
        )
    pks = [
        int(each)
        for each in sent.getlist("letters")[:AT_MOST]
        if each.isdecimal() and len(each) < 20
    ]
    return (
        Choice(letters=shelf.letters.filter(pk__in=pks), shelf=shelf) if pks else None
    )


def _has_more(letters: DeadLetterQuerySet, number: int) -> bool:
    return letters.order_by("pk")[number : number + 1].exists()


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of a deed."""

    sentence: str
    data: dict[str, Any]
    url: str
    """Where one sees what came of it."""

    status: int = 200


Deed = Callable[[Choice, HandlingForm, "AbstractUser"], Told]


def retry(choice: Choice, form: HandlingForm, by: AbstractUser) -> Told:
    """Have the letters tried once more."""
    number = choice.letters.open().count()
    runs = choice.letters.retry(by=by, rate=form.cleaned_data["rate"])
    if not runs:
        number -= choice.letters.open().count()  # Some may have an obstacle.
        sentence = ngettext(
            "%(number)s call is made again as soon as a worker comes to it.",
            "%(number)s calls are made again as soon as a worker comes to them.",
            number,
        ) % {"number": f"{number:,}"}
        data = {"retried": number}
        sentence = choice.with_rest(sentence + _those_refused(choice), "retry")
        return Told(sentence=sentence, data=data, url=choice.url)
    (run,) = runs
    sentence = ngettext(
        "%(number)s dead letter was handed to this run.",
        "%(number)s dead letters were handed to this run.",
        run.total or 0,
    ) % {"number": f"{run.total:,}"}
    return Told(
        sentence=choice.with_rest(sentence, "retry"),
        data=run_as_json(run),
        url=url_of(run),
        status=CREATED,
    )


def _those_refused(choice: Choice) -> str:
    """Say how many calls have an obstacle; an empty text for none."""
    number = choice.letters.open().exclude(obstacle="").count()
    if not number:
        return ""
    return " " + ngettext(
        "%(number)s cannot be made again, and its page says why.",
        "%(number)s cannot be made again, and their pages say why.",
        number,
    ) % {"number": f"{number:,}"}


def discard(choice: Choice, form: HandlingForm, by: AbstractUser) -> Told:
    """Give the letters up, for a reason."""
    number = choice.letters.discard(form.cleaned_data["reason"], by=by)
    if not number:
        raise NoOpenLetters(
            _("None of these dead letters is open, so none was given up.")
        )
    sentence = ngettext(
        "%(number)s dead letter was discarded.",
        "%(number)s dead letters were discarded.",
        number,
    ) % {"number": f"{number:,}"}
    sentence = choice.with_rest(sentence, "discard --reason …")
    return Told(sentence=sentence, data={"discarded": number}, url=choice.shelf.url())


def assign(choice: Choice, form: HandlingForm, by: AbstractUser) -> Told:
    """Say that the one who asks sees to the letters."""
    note = form.cleaned_data["note"]
    if choice.one is None or "note" not in form.data:
        note = note or None  # What others wrote to many letters is not taken away.
    number = choice.letters.assign(by, note=note)
    sentence = ngettext(
        "%(number)s dead letter is yours now.",
        "%(number)s dead letters are yours now.",
        number,
    ) % {"number": f"{number:,}"}
    sentence = choice.with_rest(sentence)
    return Told(sentence=sentence, data={"assigned": number}, url=choice.url)


@dataclass(kw_only=True)
class Attempt:
    """A deed that was tried: what came of it, or why nothing did."""

    form: HandlingForm
    told: Told | None = None
    refusal: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)


def attempt(
    deed: Deed, choice: Choice | None, form: HandlingForm, by: AbstractUser
) -> Attempt:
    """Do it, or say in words why it cannot be done."""
    if choice is None:
        form.add_error(None, _("Choose the dead letters first, or all that fit."))
    if choice is None or not form.is_valid():
        return Attempt(form=form, errors=_errors(form))
    try:
        with moves_from(Source.PAGE):
            return Attempt(form=form, told=deed(choice, form, by))
    except InvalidParameters as error:
        form.refuse(error)
        return Attempt(form=form, errors=_errors(form))
    except REFUSALS as error:
        return Attempt(form=form, refusal=str(error))


def _errors(form: HandlingForm) -> dict[str, list[str]]:
    return {name: [str(each) for each in found] for name, found in form.errors.items()}
