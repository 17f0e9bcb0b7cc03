"""Python seeks no garbage while the engine makes pages, and seeks it afterwards."""

import gc
from collections.abc import Iterator

import pytest

from upkeep import garbage


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    yield
    gc.enable()


class TestNotSought:
    def test_it_is_in_no_block(self) -> None:
        with garbage.not_sought():
            assert not gc.isenabled()
        assert gc.isenabled()

    def test_it_is_again_behind_an_error(self) -> None:
        with pytest.raises(ValueError, match="no page"), garbage.not_sought():
            raise ValueError("no page")
        assert gc.isenabled()

    def test_a_block_inside_another_ends_nothing(self) -> None:
        with garbage.not_sought():
            with garbage.not_sought():
                pass
            assert not gc.isenabled()

    def test_who_has_turned_it_off_finds_it_so(self) -> None:
        gc.disable()
        with garbage.not_sought():
            pass
        assert not gc.isenabled()
