"""What a claim is, once it is parsed: a form, held sample by sample, or an objective, held in expectation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from oracle.case import Case
    from oracle.records import Finding
    from proofs.estimators import Estimator

Kind = Literal["none", "detached", "differentiated", "surrogate"]
Level = Literal["token", "prefix", "sequence", "geometric"]
Placed = Literal["loss", "reward", "both"]
Side = Literal["on-policy", "off-policy", "with returns-to-go"]


@dataclass(frozen=True)
class Weight:
    """The importance weight of a form: rho cut to [low, high].

    ``level`` says of which tokens: the own one, the prefix up to it, the whole sequence, or the sequence's geometric
    mean. ``surrogate`` is PPO's clipped surrogate (arXiv 1707.06347, equation 7) of a penalty in reward.
    """

    kind: Kind = "none"
    level: Level = "token"
    low: float = 0.0
    high: float = math.inf

    @property
    def cut(self) -> bool:
        """Whether there is a threshold."""
        return self.low > 0.0 or self.high < math.inf

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The values of the weight where the form bends."""
        return tuple(x for x in (self.low, self.high) if 0.0 < x < math.inf)


@dataclass(frozen=True)
class Form:
    """An estimator, where it stands, its weight, and whether a reward is handed back to earlier tokens."""

    estimator: Estimator
    placement: Placed
    weight: Weight = Weight()
    returns: bool = False


@dataclass(frozen=True)
class Claim:
    """One claim; ``form`` or ``objective`` is set.

    ``placement`` is None where the text names none: the loss, or a penalty as loss. ``scale`` is relative to the
    aggregation, at coefficient 1; None leaves it open, and then it must be positive.
    """

    text: str
    placement: Placed | None
    form: Form | None = None
    aggregation: str | None = None
    objective: str | None = None
    level: str | None = None
    scale: float | None = None
    sides: tuple[Side, ...] = ("on-policy",)

    def hold(self, case: Case) -> Finding:
        """Hold the claim against a case."""
        from oracle.claims.forms import hold_form
        from oracle.claims.objectives import hold_objective

        return hold_objective(self, case) if self.form is None else hold_form(self, case)

    def implies_failure(self, check: str) -> str | None:
        """Why a failing check is what the claim itself says; None where it is not."""
        from proofs.symbols import L

        if check == "expected_gradient.on_policy":
            return self._of_no_divergence()
        if check != "reference.dependence":
            return None
        if self.objective == "zero":
            return "a zero gradient was claimed"
        if self.form is not None:
            from oracle.claims.forms import symbolic

            if not any(g.has(L) or any(s.name.startswith("L") for s in g.free_symbols) for g in symbolic(self.form, 1)):
                return f"{self.text} has no reference in its gradient"
        return None

    def _of_no_divergence(self) -> str | None:
        """Why a claimed form has the gradient of no divergence (k3 in reward); None where it has one."""
        if self.form is None:
            return None
        from oracle.checks.expected_on_policy import falls
        from oracle.claims.forms import symbolic
        from proofs.symbols import L, token_symbols

        own, weight = token_symbols(0)
        (c,) = (g.xreplace({own: L}).subs(weight, 1) for g in symbolic(self.form, 1))
        if c.free_symbols != {L} or falls(c) is None:
            return None
        return f"{self.text} has the gradient of no divergence"
