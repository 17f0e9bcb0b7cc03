"""A ledger on disk: what is written there stays, though its worker's work is undone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path


class Ledger:
    """Lines of a file, each as good as written once `note` returns."""

    path: Path | None = None

    def note(self, name: object) -> None:
        """Write down that something was begun; no rollback takes that back."""
        assert self.path, "a test has to say where the ledger lies"
        with self.path.open("a") as file:
            file.write(f"{name}\n")

    def count(self, name: object) -> int:
        """Return how often it was begun."""
        return self.counts()[str(name)]

    def counts(self) -> Counter[str]:
        """Return how often each was begun."""
        if self.path is None or not self.path.exists():
            return Counter()
        return Counter(self.path.read_text().splitlines())

    def clear(self) -> None:
        """Begin anew."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


ledger = Ledger()
