"""The rules of the suite itself."""

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def suite(pytester: pytest.Pytester, pytestconfig: pytest.Config) -> pytest.Pytester:
    """Return an empty suite that obeys the same conftest as this one."""
    rules = pytestconfig.rootpath / "tests" / "conftest.py"
    pytester.makeconftest(rules.read_text())
    return pytester


class TestSkips:
    """A test that does not run is no test, unless its reason says that it must not."""

    @pytest.mark.parametrize(
        ("reason", "outcome"),
        [
            ("by design: SQLite has no sessions", {"skipped": 1}),
            ("no PostgreSQL here", {"errors": 1}),
            ("", {"errors": 1}),
        ],
    )
    def test_needs_a_reason(
        self, suite: pytest.Pytester, reason: str, outcome: dict[str, int]
    ) -> None:
        suite.makepyfile(
            f"""
            import pytest

            @pytest.mark.skip(reason={reason!r})
            def test_something():
                pass
            """
        )
        suite.runpytest_inprocess(*BARE).assert_outcomes(**outcome)

    def test_needs_a_reason_for_a_module_too(self, suite: pytest.Pytester) -> None:
        suite.makepyfile("import pytest; pytest.importorskip('no_such_module')")
        suite.runpytest_inprocess(*BARE).assert_outcomes(errors=1)

    def test_inside_a_test_fails_it(self, suite: pytest.Pytester) -> None:
        suite.makepyfile("import pytest\ndef test_it(): pytest.skip('not today')")
        suite.runpytest_inprocess(*BARE).assert_outcomes(failed=1)


# Neither Django nor the order of tests matters to the suites inside these tests.
BARE = ["-p", "no:django", "-p", "no:randomly", "-p", "no:cacheprovider"]
