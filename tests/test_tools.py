"""What `make` runs tells the truth about how it went."""

import json
import sys
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from benchmarks import slices
from tools import kills, matrix, servers, soak
from tools.steps import Counts, Step, counts, run

Capture = pytest.CaptureFixture[str]

REPORT = """\
<testsuites><testsuite tests="9" failures="1" errors="2" skipped="1"/></testsuites>
"""


def step(name: str, code: str, report: Path | None = None) -> Step:
    return Step(name=name, command=[sys.executable, "-c", code], report=report)


class TestRun:
    def test_goes_on_after_a_failure_and_says_so(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        steps = [step("breaks", "raise SystemExit(3)"), step("works", "print('here')")]
        assert run(*([each] for each in steps)) is False
        out = capfd.readouterr().out
        assert "here" in out
        assert "breaks  FAILED" in out
        assert "works   passed" in out

    def test_keeps_the_output_of_steps_apart_that_run_side_by_side(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        code = "print('one', flush=True); import time; time.sleep(0.2); print('two')"
        assert run([step("this", code), step("that", code)])
        assert capfd.readouterr().out.count("one\ntwo\n") == 2

    def test_ends_with_the_number_of_tests(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        report = tmp_path / "report.xml"
        code = f"import pathlib; pathlib.Path({str(report)!r}).write_text({REPORT!r})"
        assert run([step("one", code, report)], [step("two", code, report)])
        *_, last = capfd.readouterr().out.splitlines()
        assert last == "10 passed, 6 failed, 2 skipped"

    def test_of_nothing_is_no_success(self) -> None:
        assert run() is False


class TestCounts:
    def test_are_read_from_the_report(self, tmp_path: Path) -> None:
        report = tmp_path / "report.xml"
        report.write_text(REPORT)
        assert counts(report, passed=False) == Counts(passed=5, failed=3, skipped=1)

    def test_of_a_suite_that_broke_off_have_a_failure(self, tmp_path: Path) -> None:
        assert counts(tmp_path / "none.xml", passed=False) == Counts(failed=1)


class TestMatrix:
    def test_finds_the_python_that_runs_it(self) -> None:
        ours = "{}.{}".format(*sys.version_info)
        assert matrix.interpreter(ours)

    def test_has_no_python_that_is_not_here(self) -> None:
        assert matrix.interpreter("3.99") is None

    def test_asks_a_django_only_of_pythons_that_it_runs_on(self) -> None:
        assert ("3.11", "5.2") in matrix.supported()
        assert ("3.11", "6.0") not in matrix.supported()


class TestServers:
    def test_missing_where_may_not_install_are_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(servers, "PACKAGES", {"no-such-package": "no-such-program"})
        monkeypatch.setattr(servers, "administrator", lambda: None)
        with pytest.raises(SystemExit, match=r"need no-such-package.*\n.*sudo apt-get"):
            servers.provide()


def befallen(_folder: Path, *, faults: int) -> dict[str, int]:
    return {"faults": faults, "lost": 0}


class TestSoak:
    def test_keeps_the_figures_of_earlier_times(self, tmp_path: Path) -> None:
        path = tmp_path / "build" / "soak.json"
        for n in (1, 2):
            soak.keep({"n": n}, path)
        assert json.loads(path.read_text()) == [{"n": 1}, {"n": 2}]

    def test_names_what_is_too_large(self) -> None:
        measured = soak.Soak(
            name="all",
            measure=lambda folder: {"a": 2, "b": 2},
            at_most={"a": 1, "b": 2},
        )
        found = measured.run()
        assert (found["name"], found["a"]) == ("all", 2)
        assert measured.complaints(found) == ["all: a is 2, and at most 1 is allowed"]

    def test_is_chosen_by_a_word_of_its_name(self) -> None:
        assert [each.name for each in soak.chosen(["CSV"])] == [
            "1 GB of CSV with newlines in its values"
        ]
        assert len(soak.chosen(["machine"])) == 3
        assert [each.name for each in soak.chosen(["chaos+mariadb"])] == [
            "chaos on mariadb"
        ]
        assert soak.chosen([]) == soak.SOAKS

    def test_ends_with_one_table_of_what_befell_runs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
    ) -> None:
        soaks = [
            soak.Soak(
                name=f"chaos on {name}",
                measure=partial(befallen, faults=faults),
                at_most={"lost": 0},
            )
            for name, faults in [("this", 7), ("that", 12)]
        ]
        monkeypatch.setattr(soak, "SOAKS", soaks)
        monkeypatch.setattr(soak, "JSON", tmp_path / "build" / "soak.json")
        assert soak.main([]) == 0
        *_, name, _at, faults, lost = capsys.readouterr().out.strip().splitlines()
        assert name == "name    chaos on this                     chaos on that"
        assert (faults.split(), lost.split()) == (
            ["faults", "7", "12"],
            ["lost", "0", "0"],
        )

    def test_fails_where_something_is_lost(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        one = soak.Soak(
            name="chaos", measure=lambda folder: {"lost": 1}, at_most={"lost": 0}
        )
        monkeypatch.setattr(soak, "SOAKS", [one])
        monkeypatch.setattr(soak, "JSON", tmp_path / "build" / "soak.json")
        assert soak.main([]) == 1

    def test_that_breaks_off_keeps_no_other_from_its_turn(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        capsys: Capture,
    ) -> None:
        def break_off(folder: Path) -> dict[str, int]:
            raise CalledProcessError(1, "chaos")

        soaks = [
            soak.Soak(name="first", measure=break_off, at_most={}),
            soak.Soak(name="second", measure=lambda folder: {"lost": 0}, at_most={}),
        ]
        monkeypatch.setattr(soak, "SOAKS", soaks)
        monkeypatch.setattr(soak, "JSON", tmp_path / "build" / "soak.json")
        assert soak.main([]) == 1
        assert [each["name"] for each in json.loads(soak.JSON.read_text())] == [
            "second"
        ]
        assert "first: it broke off." in capsys.readouterr().out

    def test_that_does_not_exist_is_an_error_with_the_names(self) -> None:
        with pytest.raises(
            SystemExit, match=r"(?s)no soak with tea in its name:\n.*machine"
        ):
            soak.chosen(["tea"])

    def test_names_what_could_not_be_measured(self) -> None:
        soaked = soak.Soak(name="all", measure=lambda folder: {}, at_most={"a": 1})
        assert soaked.complaints(soaked.run()) == [
            "all: a is None, and at most 1 is allowed"
        ]


class TestKills:
    def test_are_summed_up_over_all_kinds_of_run(self, tmp_path: Path) -> None:
        report = tmp_path / "report.xml"
        properties = "".join(
            f'<testcase><properties><property name="tried" value="{tried}"/>'
            f'<property name="bad" value="{bad}"/>'
            f'<property name="seconds" value="{seconds}"/></properties></testcase>'
            for tried, bad, seconds in [(300, 0, 61.5), (200, 1, 40.25)]
        )
        report.write_text(
            f"<testsuites><testsuite>{properties}</testsuite></testsuites>"
        )
        found = {"kills": 500, "bad": 1, "longest_seconds": 61.5}
        assert kills.figures(report) == found


class TestSlices:
    def test_say_that_a_run_is_slow_where_most_of_them_are(self) -> None:
        found = slices.figures([0.9] * 11 + [2.0] * 9, [1.0])
        assert found["slower"] == 0.1

    def test_say_that_a_run_slows_down_whatever_one_of_them_is(self) -> None:
        ratios = [1.0, 1.0, 0.1, 1.0, 1.0, *[0.9] * 10, 0.5, 0.5, 3.0, 0.5, 0.5]
        assert slices.figures(ratios, [1.0])["fading"] == 0.5

    def test_say_how_much_memory_was_needed_at_most(self) -> None:
        assert slices.figures([1.0] * 20, [3.0, 12.34, 2.0])["grown_mb"] == 12.3
