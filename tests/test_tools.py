"""What `make` runs tells the truth about how it went."""

import json
import re
import subprocess
import sys
from functools import partial
from itertools import chain
from pathlib import Path
from subprocess import CalledProcessError
from types import ModuleType
from typing import Any

import pytest

from benchmarks import costs, slices
from tests import without
from tests.integration.kinds import KINDS
from tests.without import WAYS, taken_away
from tools import figures, kills, matrix, mutations, servers, soak
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
        assert [each.name for each in soak.chosen(["GB"])] == [
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


SEVERAL = {
    "name": "chaos on sqlite",
    "at": "2030-01-02T03:04:05+00:00",
    "seconds": 1834,
    "minutes": 30.0,
    "seed": 7,
    "runs": 1200,
    "lost": 0,
    "twice": 2,
    "miscounted": 0,
    "not_succeeded": 0,
    "worst_standstill": 31.2,
    "worker killed": 57,
}
KILLED = {
    "name": "workers killed at every point on sqlite: some fail",
    "at": "2030-01-02T03:04:05+00:00",
    "failed": 0,
    "tried": 5,
    "points": 6,
    "bad": 0,
    "seconds": 7,
}
FROZEN = "workers frozen at many points on postgresql: some fail"
EARLIER = SEVERAL | {"at": "2029-01-02T03:04:05+00:00", "runs": 1}


class TestFigures:
    """What the page shows of soaks is written by no hand."""

    def test_are_the_last_of_each_soak_with_what_repeats_it(self) -> None:
        told = figures.markdown([SEVERAL, EARLIER]).splitlines()
        assert told[2] == (
            "| chaos on sqlite | runs 1,200 | lost 0, **twice 2**, miscounted 0, "
            "not succeeded 0, worst standstill 31.2 (at most 90) | 0:30:34 | "
            "2030-01-02 | `make soak ONLY=chaos+sqlite MINUTES=30 SEED=7` |"
        )
        assert told[3].endswith("| not run yet | `make soak ONLY=chaos+postgresql` |")

    def test_of_many_figures_are_the_least_and_the_largest(self) -> None:
        assert figures.figure("ratios", [1.1, 0.9, 1.0]) == "ratios 0.9 to 1.1"

    def test_say_how_often_each_kind_of_fault_happened(self) -> None:
        told = figures.markdown([SEVERAL])
        assert "| what happened | chaos on sqlite |\n" in told
        assert "| worker killed | 57 |\n" in told

    def test_of_a_kind_of_run_are_a_line_with_all_databases(self) -> None:
        told = figures.markdown([KILLED, KILLED | {"name": FROZEN, "bad": 1}])
        assert (
            "\nWorkers killed at every point, the last on 2030-01-02, "
            "by `make soak ONLY=workers+killed`:\n\n"
            "| of | sqlite | postgresql | mariadb |\n"
        ) in told
        assert "| some fail | tried 5, points 6 | not run yet | not run yet |\n" in told
        assert "| some fail | not run yet | tried 5, points 6, **bad 1** |" in told
        assert "| in all | tried 5, points 6 | – | – |\n" in told

    def test_of_what_is_taken_away_are_those_who_noticed(self) -> None:
        found = {"at": "2030-01-02", "unnoticed": 0, "broken": 0}
        told = figures.markdown(
            [
                found | {"name": "without gap on sqlite", "noticed_by": {"a": "no"}},
                found | {"name": "without fence on sqlite", "noticed_by": {}},
                found
                | {
                    "name": "without fence on mariadb",
                    "noticed_by": {},
                    "unnoticed": 1,
                },
            ]
        )
        fence, gap = (
            next(line for line in told.splitlines() if line.startswith(f"| {name} |"))
            for name in ("fence", "gap")
        )
        assert fence.endswith("| 0 | not run yet | **nobody** |")
        assert gap.endswith("| 1 | – | – |")

    def test_that_are_missing_are_marked(self) -> None:
        without = {key: SEVERAL[key] for key in SEVERAL if key != "lost"}
        assert "| **lost unknown**, " in figures.markdown([without])

    @pytest.mark.parametrize("one", soak.SOAKS, ids=lambda one: one.name)
    def test_name_what_selects_the_soak(self, one: soak.Soak) -> None:
        assert one in soak.chosen([figures.selector(one.name, [one])])

    def test_name_what_selects_it_alone_where_words_can(self) -> None:
        first = soak.SOAKS[0]
        assert soak.chosen([figures.selector(first.name, [first])]) == [first]

    def test_take_the_place_of_those_before(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        page, kept = tmp_path / "page.md", tmp_path / "soak.json"
        page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter")
        monkeypatch.setattr(figures, "PAGE", page)
        kept.write_text(json.dumps([SEVERAL]))
        for _ in range(2):
            figures.main([kept])
        before, *between, after = page.read_text().splitlines()
        assert (before, after) == ("before", "after")
        assert "old" not in between
        assert "\n".join(between).count("chaos on sqlite") == 2

    def test_that_nobody_has_measured_are_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match="`make soak` makes them"):
            figures.main([tmp_path / "soak.json"])

    def test_that_find_no_place_are_refused(self) -> None:
        with pytest.raises(SystemExit, match="no place between"):
            figures.inserted("a page", [])


class TestKills:
    def test_are_summed_up_over_all_tests_of_a_kind_of_run(
        self, tmp_path: Path
    ) -> None:
        report = tmp_path / "report.xml"
        properties = "".join(
            f'<testcase><properties><property name="tried" value="{tried}"/>'
            f'<property name="points" value="{points}"/>'
            f'<property name="bad" value="{bad}"/>'
            f'<property name="seconds" value="{seconds}"/></properties></testcase>'
            for tried, points, bad, seconds in [
                (300, 300, 0, 61.5),
                (200, 210, 1, 40.25),
            ]
        )
        report.write_text(
            f"<testsuites><testsuite>{properties}</testsuite></testsuites>"
        )
        found = {"tried": 500, "points": 510, "bad": 1, "seconds": 102}
        assert kills.figures(report) == found

    def test_are_of_every_kind_of_run(self) -> None:
        assert list(kills.KINDS) == [kind.name for kind in KINDS]

    def test_are_known_to_pytest(self) -> None:
        known = [kills.KILLED, kills.ISOLATED, kills.FROZEN]
        tests = chain.from_iterable(chain.from_iterable(map(dict.values, known)))
        found = subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", "--collect-only", *tests],
            cwd=soak.ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stdout


MUTATED = """\
<testsuites><testsuite>
<testcase classname="tests.test_a.TestA" name="test_b[1]" file="tests/test_a.py"/>
<testcase classname="tests.test_a" name="test_c" file="tests/test_a.py">
  <failure message="AssertionError: 2 effects&#10;of 1">at line 7</failure>
</testcase>
<testcase classname="tests.test_a" name="test_d" file="tests/test_a.py">
  <skipped message="by design"/>
</testcase>
<testcase classname="tests.test_a" name="test_e" file="tests/test_a.py">
  <error message="failed on setup"/>
</testcase>
</testsuite></testsuites>
"""


class TestMutations:
    def test_are_those_that_can_be_taken_away(self) -> None:
        tried = {each.protection for each in mutations.MUTATIONS}
        # It is all that stands around a chunk, the parts of which are tried.
        assert tried == set(WAYS) - {"distrust"}

    @pytest.mark.parametrize("protection", WAYS)
    def test_change_something_and_leave_it_as_it_was(self, protection: str) -> None:
        before = engine()
        with taken_away(protection):
            assert engine() != before
        assert engine() == before

    def test_of_a_protection_that_is_not_there_are_an_error(self) -> None:
        with pytest.raises(pytest.UsageError, match="No protection is 'tea': fence, "):
            taken_away("tea").__enter__()

    def test_have_checks_that_are_there(self) -> None:
        checks = {check for each in mutations.MUTATIONS for check in each.checks}
        for check in {*checks, *mutations.CALM}:
            path, *names = check.partition("[")[0].split("::")
            text = Path(path).read_text()
            assert all(re.search(rf"(def|class) {name}\b", text) for name in names)

    def test_are_noticed_where_a_test_fails(self, tmp_path: Path) -> None:
        report = tmp_path / "report.xml"
        report.write_text(MUTATED)
        assert mutations.ends(report) == (
            {"tests/test_a.py::TestA::test_b[1]"},
            {"tests/test_a.py::test_c": "AssertionError: 2 effects"},
        )

    @pytest.mark.parametrize(
        ("passed", "failed", "figures"),
        [
            ({*mutations.CALM}, {"a": "no"}, {"unnoticed": 0, "broken": 0}),
            ({*mutations.CALM}, {}, {"unnoticed": 1, "broken": 0}),
            (set(), {"a": "no"}, {"unnoticed": 0, "broken": 2}),
            (set(), dict.fromkeys(mutations.CALM, "no"), {"unnoticed": 1, "broken": 2}),
        ],
        ids=["noticed", "unnoticed", "broken", "broken alone"],
    )
    def test_are_worth_something_where_a_calm_run_ends_well(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        passed: set[str],
        failed: dict[str, str],
        figures: dict[str, int],
    ) -> None:
        monkeypatch.setattr(mutations, "outcome", lambda *options: (passed, failed, 1))
        found = mutations.measured(mutations.MUTATIONS[0], "sqlite", tmp_path)
        assert {name: found[name] for name in figures} == figures

    def test_that_tell_nothing_are_found_where_nothing_is_taken_away(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(
            mutations, "outcome", lambda *options: (set(), {"a": "no"}, 1)
        )
        found = mutations.checked("sqlite", tmp_path)
        assert (found["passed"], found["failed"], found["broken"]) == (0, 1, 2)

    def test_that_nobody_noticed_fail_the_soak(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        capsys: Capture,
    ) -> None:
        monkeypatch.setenv("MUTATE", "1")
        monkeypatch.setattr(soak, "JSON", tmp_path / "build" / "soak.json")
        monkeypatch.setattr(
            mutations, "outcome", lambda *options: ({*mutations.CALM}, {}, 1)
        )
        assert soak.main(["fence+sqlite"]) == 1
        assert re.search(r"fence +sqlite +1 +0  NOBODY", capsys.readouterr().out)
        (kept,) = json.loads(soak.JSON.read_text())
        assert kept["noticed_by"] == {}


def engine() -> list[dict[str, Any]]:
    """Return what the classes and modules hold of which something can be taken away."""
    return [
        dict(vars(each))
        for each in vars(without).values()
        if isinstance(each, type | ModuleType) and "upkeep" in repr(each)
    ]


class TestCosts:
    def test_are_those_of_transactions_with_a_checkpoint(self) -> None:
        chunk = [(word, 0.1) for word in ("SELECT", "BEGIN", "UPDATE", "COMMIT")]
        other = [(word, 0.1) for word in ("BEGIN", "INSERT", "COMMIT")]
        assert list(costs.split([*chunk, *other, *chunk])) == [chunk, chunk]


class TestSlices:
    def test_say_that_a_run_is_slow_where_most_of_them_are(self) -> None:
        found = slices.figures([0.9] * 11 + [2.0] * 9, [1.0])
        assert found["slower"] == 0.1

    def test_say_that_a_run_slows_down_whatever_one_of_them_is(self) -> None:
        ratios = [1.0, 1.0, 0.1, 1.0, 1.0, *[0.9] * 10, 0.5, 0.5, 3.0, 0.5, 0.5]
        assert slices.figures(ratios, [1.0])["fading"] == 0.5

    def test_say_how_much_memory_was_needed_at_most(self) -> None:
        assert slices.figures([1.0] * 20, [3.0, 12.34, 2.0])["grown_mb"] == 12.3
