"""Those of the host whom we tell something; what one of them raises is reported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upkeep.execution.failures import told

if TYPE_CHECKING:
    from django.db.models import Model
    from django.dispatch import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who is told of a run or a dead letter; what is wrong with one is not others'."""

    subject: str
    """Of what they are told, in words."""

    report: Callable[..., None]
    """Tells the log and the host's reporter of an error of the subject."""

    secrets: Collection[str]

    def send(self, signal: Signal, sender: type[Model], **facts: Any) -> None:
        """Call the receivers of a signal, all of them."""
        with self.reporting("A receiver"):
            for receiver, answer in signal.send_robust(sender, **facts):
                if isinstance(answer, Exception):
                    name = getattr(
                        receiver, "__qualname__", type(receiver).__qualname__
                    )
                    self._report(answer, f"{name}()")

    @contextmanager
    def reporting(self, who: str) -> Iterator[None]:
        """Report what one of them raises, and go on; sys.exit() ends nothing either."""
        failure: BaseException | None = None
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is not our code
            failure = error
        if failure is not None:
            self._report(failure, who)

    def _report(self, failure: BaseException, who: str) -> None:
        message = told(failure, self.secrets)["error_message"]
        kind = type(failure).__name__
        sentence = f"{who} for {self.subject} failed: {kind}: {message}"
        self.report(failure, handled=False, sentence=sentence, secrets=self.secrets)
