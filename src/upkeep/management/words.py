"""Runs in the words of the command line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from upkeep.runs.facts import label
from upkeep.runs.places import place_of
from upkeep.runs.progress import Progress
from upkeep.runs.status import Status
from upkeep.runs.words import as_json, counted, duration, moment, rate, rounded

if TYPE_CHECKING:
    from upkeep.runs.events import Event
    from upkeep.runs.models import Run


def where(run: Run) -> str:
    """Say how far a run has come, how fast, and how long the rest takes."""
    progress = Progress(run)
    parts = [progress.text]
    if progress.rate is not None:
        parts.append(rate(progress.rate))
    if rest := time_left(run):
        parts.append(f"{rest} left")
    return ", ".join(parts)


def where_shortly(run: Run) -> str:
    """Say the same in half a line."""
    progress = Progress(run)
    parts = [f"{progress.passed:,}"]
    if progress.fraction is not None:
        parts = [f"{progress.passed:,} of {progress.total_in_words}"]
        # Down, as the sentence rounds it: 100 % is said when all is done.
        parts.append(f"{int(100 * progress.fraction)} %")
    parts += progress.losses
    if progress.rate is not None:
        parts.append(f"{rounded(progress.rate)}/s")
    if rest := time_left(run):
        parts.append(f"{rest} left")
    return "  ".join(parts)


def time_left(run: Run) -> str:
    """Say how long the rest takes; an empty text while nobody works on it."""
    rest = Progress(run).time_left
    return duration(rest) if rest and run.status == Status.RUNNING else ""


def retrial(run: Run) -> str:
    """Say whose dead letters a run retries; an empty text where it walks by itself."""
    if run.parent_id is None:
        return ""
    return f"retries {counted(run.total or 0, 'dead letter')} of run {run.parent_id}"


def outcome(run: Run) -> str:
    """Say how a run came to rest, in one sentence without its advice."""
    sentence = f"{name(run)} {verb(run)} after {duration(run.time_running)}"
    return f"{sentence}: {where(run)}."


def verb(run: Run) -> str:
    """Say the status of a run as the predicate of a sentence."""
    ended_by_itself = {Status.SUCCEEDED, Status.ERRORED}
    return run.status if run.status in ended_by_itself else f"is {run.status}"


def greeting(run: Run) -> str:
    """Say what became of a run that was just written."""
    is_new = run.status == Status.ENQUEUED
    return f"{name(run)} {'enqueued' if is_new else verb(run)}."


def name(run: Run) -> str:
    """Return what a run is called at the beginning of a sentence."""
    return f"Run {run.pk} of {label(run)}"


def event_line(event: Event) -> str:
    """Say an event in a line: when, what, why or the text of the log, who and where."""
    by = f"by {event.actor}" if event.actor else ""
    source = f"({event.source})" if event.source else ""
    place = f"at {found}" if (found := place_of(event)) else ""
    said = " ".join(filter(None, (by, source, place)))
    text = "  ".join(filter(None, (event.text, said)))
    return line(event.created_at, event.status or event.kind, text)


def line(when: datetime, what: str, text: str) -> str:
    """Return a line of the story of a run, its columns aligned with the others."""
    return f"{moment(when)}  {what:<11}  {text}".rstrip()


def compact(value: Any) -> str:
    """Return JSON in one line."""
    return as_json(value)
