"""What a command says reaches a pipe as plain text, and a terminal harmlessly."""

from io import StringIO

import pytest
from django.core.management.base import OutputWrapper

from upkeep.management.displays import Bar
from upkeep.management.screen import Screen, printable
from upkeep.models import Run
from upkeep.runs.status import Status

# How rich begins a bar that is whole.
WHOLE = "\x1b[38;5;70m━"


class Terminal(StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def pipe() -> StringIO:
    return StringIO()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLORTERM", raising=False)  # It would change the codes.
    return Terminal()


def test_a_table_in_a_pipe_is_aligned_text(pipe: StringIO) -> None:
    rows = [["1", "paused"], ["100", "with\nbreaks"]]
    Screen(OutputWrapper(pipe)).table(["run", "status"], rows)
    assert pipe.getvalue() == "RUN  STATUS\n1    paused\n100  with breaks\n"


def test_a_table_in_a_terminal_has_colours(terminal: Terminal) -> None:
    Screen(OutputWrapper(terminal)).table(["run", "status"], [["1", "paused"]])
    assert "\x1b[33mpaused" in terminal.getvalue()


def test_colours_can_be_declined(terminal: Terminal) -> None:
    Screen(OutputWrapper(terminal), no_color=True).table(["status"], [["paused"]])
    assert "\x1b[33m" not in terminal.getvalue()


def test_a_pipe_is_no_terminal_whatever_the_environment_says(
    pipe: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    screen = Screen(OutputWrapper(pipe))
    screen.table(["status"], [["paused"]])
    assert not screen.is_live
    assert pipe.getvalue() == "STATUS\npaused\n"


def test_a_terminal_without_a_cursor_gets_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen(OutputWrapper(terminal)).is_live


def test_pairs_are_aligned_and_the_empty_left_out(pipe: StringIO) -> None:
    pairs = [("run", "1"), ("reason", ""), ("traceback", "first\nsecond")]
    Screen(OutputWrapper(pipe)).pairs(pairs)
    assert pipe.getvalue() == (
        "run        1\n"
        "traceback  first\n"
        "           second\n"
    )  # fmt: skip


def test_lines_are_not_broken_at_the_width_of_a_terminal(terminal: Terminal) -> None:
    Screen(OutputWrapper(terminal)).say("word " * 40)
    assert terminal.getvalue().count("\n") == 1


def test_markup_is_not_obeyed(terminal: Terminal) -> None:
    Screen(OutputWrapper(terminal)).say("[red]not red[/red] :smile:")
    assert terminal.getvalue() == "[red]not red[/red] :smile:\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("29.6\xa0MB – ünïcode 漢字", "29.6\xa0MB – ünïcode 漢字"),
        ("\x1b[31m\r\x07\x9b", "\\x1b[31m\\r\\x07\\x9b"),
        ("\u202e", "\\u202e"),  # It turns the direction of what follows.
    ],
)
def test_what_would_steer_a_terminal_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("total", [None, 90, 100])
def test_a_bar_stands_still_where_a_run_is_at_its_end(
    terminal: Terminal, total: int | None
) -> None:
    """Rich moves what it knows no end of, and draws what is whole in another colour."""
    bar = Bar(Screen(OutputWrapper(terminal)))
    with bar:
        bar.stands(Run(done=90, total=total, status=Status.SUCCEEDED))
    last = terminal.getvalue().rsplit("\x1b[2K", 1)[-1]
    assert WHOLE in last
    assert "90" in last
    assert "100" not in last.replace("100 %", "")
