"""
The figures of the last soaks, as the page on guarantees shows them.

`python -m tools.figures` writes them from build/soak.json between the marks on the
page, so that nobody types a number. Other files of figures can be named instead.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from tests.servers import DATABASES
from tools import mutations
from tools.soak import JSON, ROOT, SOAKS, Figures, Soak, chosen

PAGE = ROOT / "docs" / "explanation" / "guarantees.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->"

HEADINGS = ["soak", "tried", "found", "took", "on", "repeat it by"]

# What is no figure of what was tried, but says which soak it was, when and how long.
CIRCUMSTANCES = {"name", "at", "seconds", "minutes", "seed"}


def main(paths: Sequence[Path]) -> None:
    """Write the figures of some files, or of the last soaks here, on the page."""
    for path in paths or [JSON]:
        if not path.exists():
            sys.exit(f"There are no figures in {path} yet: `make soak` makes them.")
    figures = [json.loads(path.read_text()) for path in paths or [JSON]]
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(inserted(page, chain.from_iterable(figures)), encoding="utf-8")


def inserted(page: str, figures: Iterable[Figures]) -> str:
    """Return a page with the figures between its marks, whatever was there before."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"The page has no place between {BEGIN.strip()} and {END}.")
    return f"{before}{BEGIN}\n{markdown(figures)}\n{END}{after}"


def markdown(figures: Iterable[Figures]) -> str:
    """Set out the last figures of each soak, and what happened to whom by chance."""
    by_time = sorted(figures, key=lambda each: str(each["at"]))
    last = {each["name"]: each for each in by_time}
    single = [(soak, last.get(soak.name)) for soak in SOAKS if not family(soak)]
    tables = [table(HEADINGS, [row(soak, found) for soak, found in single])]
    if befallen := [found for _, found in single if found and faults(found)]:
        tables.append(table_of_faults(befallen))
    families = dict.fromkeys(filter(None, map(family, SOAKS)))
    tables += [matrix(name, last) for name in families]
    return "\n".join([*tables, table_of_mutations(last)])


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# A soak


def row(soak: Soak, found: Figures | None) -> list[str]:
    """Say of a soak what was tried, what came of it, and how to do it again."""
    if found is None:
        return [soak.name, "–", "–", "–", "not run yet", f"`{command(soak)}`"]
    limited = [judged(name, found.get(name), at) for name, at in soak.at_most.items()]
    return [
        soak.name,
        ", ".join(figure(*each) for each in tried(soak, found).items()) or "–",
        ", ".join(limited),
        duration(found.get("seconds")),
        day(found),
        f"`{command(soak, found)}`",
    ]


def tried(soak: Soak, found: Figures) -> Figures:
    """Return the figures that have no limit."""
    names = found.keys() - faults(found).keys() - soak.at_most.keys() - CIRCUMSTANCES
    return {name: value for name, value in found.items() if name in names}


def figure(name: str, value: Any) -> str:
    """Return a figure as one reads it; of many, the least and the largest."""
    if isinstance(value, list):
        return f"{name.replace('_', ' ')} {min(value):,} to {max(value):,}"
    return f"{name.replace('_', ' ')} {plain(value):,}"


def plain(value: Any) -> Any:
    """Return a whole number without a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def judged(name: str, value: Any, limit: float) -> str:
    """Return a figure with its limit, in bold where it is missing or too large."""
    if value is None:
        return f"**{name.replace('_', ' ')} unknown**"
    said = figure(name, value)
    if limit:
        said += f" (at most {limit:,})"
    return f"**{said}**" if value > limit else said


def day(found: Figures) -> str:
    """Return the day of a measurement."""
    return datetime.fromisoformat(found["at"]).date().isoformat()


def duration(seconds: float | None) -> str:
    """Return hours, minutes and seconds, where it is known how many."""
    return "–" if seconds is None else str(timedelta(seconds=round(seconds)))


def command(soak: Soak, found: Figures | None = None) -> str:
    """Return what repeats a soak: alone, as long, and with the same chances."""
    options = {"MINUTES": "minutes", "SEED": "seed"}
    again = [
        f"{key}={plain(found[n])}" for key, n in options.items() if found and n in found
    ]
    return " ".join(["make soak", f"ONLY={selector(soak.name, [soak])}", *again])


def selector(name: str, soaks: Sequence[Soak]) -> str:
    """Return the fewest words of a name that select these alone; all if none do."""
    candidates = list(selectors(name))
    alone = (each for each in candidates if chosen([each]) == soaks)
    return next(alone, candidates[-1])


def selectors(name: str) -> Iterator[str]:
    """Yield what may select a soak: the first word of its name, and more and more."""
    first, *others = re.findall(r"[A-Za-z]{2,}", name)
    for number in range(len(others) + 1):
        for some in combinations(others, number):
            yield "+".join([first, *some])


# Soaks of many parts, each on every database

PART = re.compile(r"(?P<family>.+) on (?P<database>\w+): (?P<part>.+)")


def family(soak: Soak) -> str:
    """Return what a soak is a part of, or nothing."""
    found = PART.fullmatch(soak.name)
    return found["family"] if found else ""


def place(soak: Soak) -> tuple[str, str]:
    """Return the line and the column of a part in the table of its family."""
    database, _, part = soak.name.removeprefix(f"{family(soak)} on ").partition(": ")
    return part, database


def matrix(name: str, last: Mapping[str, Figures]) -> str:
    """Return a table of a family: a line for each part, a column for each database."""
    soaks = [soak for soak in SOAKS if family(soak) == name]
    cells = {place(soak): cell(soak, last.get(soak.name)) for soak in soaks}
    databases = list(dict.fromkeys(database for _, database in cells))
    rows = [
        [part, *(cells.get((part, database), "–") for database in databases)]
        for part in dict.fromkeys(part for part, _ in cells)
    ]
    rows.append(["in all", *(in_all(soaks, each, last) for each in databases)])
    days = [day(last[soak.name]) for soak in soaks if soak.name in last]
    when = f"the last on {max(days)}, " if days else ""
    heading = f"{name.capitalize()}, {when}by `make soak ONLY={selector(name, soaks)}`:"
    return f"{heading}\n\n{table(['of', *databases], rows)}"


def in_all(soaks: Sequence[Soak], database: str, last: Mapping[str, Figures]) -> str:
    """Add up what was tried on a database."""
    total: Counter[str] = Counter()
    for soak in soaks:
        if place(soak)[1] == database and soak.name in last:
            total.update(tried(soak, last[soak.name]))
    return ", ".join(figure(*each) for each in total.items()) or "–"


def cell(soak: Soak, found: Figures | None) -> str:
    """Say what was tried, and what went wrong."""
    if found is None:
        return "not run yet"
    done = [figure(*each) for each in tried(soak, found).items()]
    limits = soak.at_most.items()
    judgements = [judged(name, found.get(name), limit) for name, limit in limits]
    return ", ".join([*done, *(each for each in judgements if "**" in each)])


# Protections taken away


def table_of_mutations(last: Mapping[str, Figures]) -> str:
    """Return how many tests noticed that a protection was taken away, and where."""
    rows = [
        [
            mutation.protection,
            mutation.how,
            *(noticed(mutation, database, last) for database in DATABASES),
        ]
        for mutation in mutations.MUTATIONS
    ]
    heading = "Tests that notice what is taken away, by `make soak MUTATE=1`:"
    return f"{heading}\n\n" + table(
        ["without", "what happens instead", *DATABASES], rows
    )


def noticed(
    mutation: mutations.Mutation, database: str, last: Mapping[str, Figures]
) -> str:
    """Return the number of tests that noticed, in bold where there was none."""
    if database not in mutation.databases:
        return "–"
    found = last.get(f"without {mutation.protection} on {database}")
    if found is None:
        return "not run yet"
    if found["unnoticed"] or found["broken"]:
        return "**nobody**"
    return str(len(found["noticed_by"]))


# What happened by chance


def faults(found: Figures) -> Figures:
    """Return how often each kind of fault happened: it has a name of several words."""
    return {name: times for name, times in found.items() if " " in name}


def table_of_faults(befallen: Sequence[Figures]) -> str:
    """Return how often each kind happened, a column for each soak."""
    kinds = dict.fromkeys(kind for found in befallen for kind in faults(found))
    rows = [[kind, *(f"{each.get(kind, '–')}" for each in befallen)] for kind in kinds]
    return table(["what happened", *(each["name"] for each in befallen)], rows)


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
