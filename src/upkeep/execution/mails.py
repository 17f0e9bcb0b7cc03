"""The mails about a run that an error stopped, and about dead letters."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import mail_admins, send_mail
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from upkeep.conf import conf
from upkeep.runs.progress import Progress
from upkeep.tasks.reading import in_project_terms

if TYPE_CHECKING:
    from upkeep.runs.dead_letters import DeadLetter
    from upkeep.runs.models import Run


def tell_of_error(run: Run) -> None:
    """Send the mail, if the project wants it and the person has an address."""
    address = getattr(run.requested_by, "email", "")
    if conf.MAIL_ON_ERROR and address:
        with in_project_terms():
            subject = _("%(task)s was stopped by an error") % {"task": run.task}
            text = _text(run)
        send_mail(subject, text, None, [address])


def _text(run: Run) -> str:
    """Say what stopped the run, where, and how far it came; its row has no secrets."""
    facts = {
        "run": run.pk,
        "task": run.task,
        "error": f"{run.error_class}: {run.error_message}",
        "place": run.error_at,
        "done": run.done,
        "total": Progress(run).total_in_words,
        "page": _address("run", run.pk),
    }
    return "\n\n".join(paragraph % facts for paragraph in _paragraphs(run))


def _paragraphs(run: Run) -> list[str]:
    paragraphs = [_("Run %(run)s of %(task)s was stopped by an error:"), "%(error)s"]
    if run.error_at:
        paragraphs.append(_("It happened at: %(place)s"))
    if Progress(run).total is None:
        paragraphs.append(_("Items done: %(done)s"))
    else:
        paragraphs.append(_("Items done: %(done)s of %(total)s"))
    paragraphs.append(_("It has kept its place. Resume it when the cause is mended."))
    if _address("run", run.pk):
        paragraphs.append("%(page)s")
    return paragraphs


def _address(page: str, pk: int) -> str:
    """Return where one looks; an empty text in a project that has no pages of ours."""
    with suppress(ImproperlyConfigured, NoReverseMatch):
        return urljoin(conf.BASE_URL, reverse(f"upkeep:{page}", args=[pk]))
    return ""


# Dead letters


def tell_of_letter(letter: DeadLetter, *, letters: int) -> None:
    """
    Send the mail about letters of one cause, of which this one is the latest.

    It goes to the person who asked for the run, else to the ADMINS of the project.
    """
    with in_project_terms():
        subject = _("Dead letters of %(place)s") % {"place": letter.place}
        text = _text_of_letter(letter, letters)
    address = getattr(letter.run and letter.run.requested_by, "email", "")
    if address:
        send_mail(subject, text, None, [address])
    else:
        mail_admins(subject, text)


def _text_of_letter(letter: DeadLetter, letters: int) -> str:
    facts = {
        "place": letter.place,
        "letters": letters,
        "letter": letter.pk,
        "item": letter.item,
        "error": f"{letter.error_class}: {letter.error_message}",
        "page": _page_of(letter),
    }
    paragraphs = [
        ngettext(
            "A dead letter of %(place)s was kept:",
            "%(letters)s dead letters of %(place)s were kept for one cause. The last:",
            letters,
        ),
        "%(error)s",
    ]
    if letter.item:
        paragraphs.append("%(item)s")
    paragraphs.append(_("Of this cause there is a mail once an hour at most."))
    if facts["page"]:
        paragraphs.append("%(page)s")
    return "\n\n".join(paragraph % facts for paragraph in paragraphs)


def _page_of(letter: DeadLetter) -> str:
    """Return the address of the run of an item, or of the letter of a call."""
    if letter.run_id is None:
        return _address("letter", letter.pk)
    return _address("run", letter.run_id)
