"""How the words behind a verb are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.core.management.base import CommandParser

Explain = Callable[[Sequence[str]], str | None]


class VerbParser(CommandParser):
    """Has the verb explain words that it does not know, before argparse does."""

    explain: Explain

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """Return the namespace and the words that are left, as argparse does."""
        namespace, strays = super().parse_known_args(*args, **kwargs)
        if sentence := self.explain(strays):
            self.error(sentence)
        return namespace, strays
