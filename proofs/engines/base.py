"""What every engine is: a table from the kind of a statement to the function that decides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proofs.ledger import UNSUPPORTED, Finding, Outcome
from proofs.patience import TimeIsUp, at_most
from proofs.theorem import Theorem

Handler = Callable[[Any], Finding]
"""Decides a statement of one kind."""


class CannotExpress(Exception):
    """The engine has no word for something in the statement: `unsupported`, with the reason."""


@dataclass(frozen=True)
class TableEngine:
    """An engine made of handlers; what takes longer than `seconds` is inconclusive."""

    name: str
    title: str
    handlers: Mapping[type, Handler]
    absent: Callable[[], str | None] = lambda: None
    seconds: float = 5.0

    @property
    def path(self) -> str:
        """It shares how it reads statements with no other engine."""
        return self.name

    def missing(self) -> str | None:
        """Return what has to be installed before the engine runs; None if nothing."""
        return self.absent()

    def check(self, theorem: Theorem) -> Finding:
        """Decide one theorem."""
        handler = self.handlers.get(type(theorem.statement))
        if handler is None:
            return UNSUPPORTED
        try:
            with at_most(self.seconds, untimed=True):
                return handler(theorem.statement)
        except CannotExpress as reason:
            return Finding(Outcome.UNSUPPORTED, detail=str(reason))
        except TimeIsUp:
            return Finding(Outcome.INCONCLUSIVE, detail=f"no answer within {self.seconds:g} s")
