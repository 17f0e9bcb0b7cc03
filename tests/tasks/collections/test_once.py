"""The one step of a Job."""

from upkeep.tasks.collections import Once


class TestOnce:
    """A Job has one step, which is not done twice."""

    def test_is_one_item(self) -> None:
        page = Once().page(None, 1000)
        assert (list(page.items), page.last, Once().count()) == ([None], True, 1)

    def test_is_empty_once_done(self) -> None:
        page = Once().page(Once().page(None, 1).cursor_after(0), 1000)
        assert (list(page.items), page.last) == ([], True)
