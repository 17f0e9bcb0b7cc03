"""
Which laws the map has to have: the reference's own names for them, by ranges.

They are written down here, apart from the map, so that a line that was lost is missed.
"""

from __future__ import annotations

from collections.abc import Iterator

# What its own tests state, by their groups; not each of them is asked for.
STATEMENTS = {
    "DOC": "1",
    "AH": "1",
    "TH": "1-2 4-5 7-9 11-17",
    "JOB": "1-5 7 10 12 15-16 18-20 22 24-25 28 31-38 42 45 47-48 51 54-55 57-58 62 64",
    "INS": "1",
    "GEN": "1-8 10",
    "CLI": "2 4-6",
    "BCB": "1-2",
    "CCB": "1 3",
    "CSV": "1-2 4-5",
    "NUL": "1-3",
    "PRG": "3 5 7 11",
    "RUN": (
        "2 4-11 13-14 16 18-23 25-26 28-29 31 33-35 37-38 40-41 44-47 49-52 54-57 "
        "59-61 63-64 67 70 72 75 77-78"
    ),
    "RNR": "2-6 8 10-14",
    "PAG": "1-2 5",
    "IDX": "1 4-6 8-11 13",
    "SHW": "2 6-7 9-10 13-14 17-21 23",
    "TSK": "1-10 12-13 15-16",
    "TIC": "1-3 5-6",
    "UIR": "1-6 8 11 14 17 19-21",
    "UIT": "1-2 4 6-11",
    "VAL": "1-2 4-6 9",
}

# What it offers: tasks, collections, CSV files, parameters, masks; throttles, hooks,
# errors, events; the row of a run, starting it, working on it, settings.
FEATURES = {
    "A": "1-28",
    "B": "1-19",
    "C": "1-14",
    "D": "1-18",
    "E": "1-4",
    "F": "1-9",
    "G": "1-10",
    "H": "1-21",
    "I": "1-7",
    "J": "1-20",
    "K": "1-9",
    "L": "1-14",
    "O": "1-18",
}


def all_keys() -> Iterator[str]:
    """Yield every name, such as JOB-01 or A01."""
    for group, ranges in STATEMENTS.items():
        yield from (f"{group}-{number:02}" for number in _numbers(ranges))
    for group, ranges in FEATURES.items():
        yield from (f"{group}{number:02}" for number in _numbers(ranges))


def _numbers(ranges: str) -> Iterator[int]:
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
