"""What is known of a program before it is judged: the verdict that its form has by the theorems of ``proofs``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from oracle.subject.subject import Placement


@dataclass(frozen=True)
class Side:
    """One side of a verdict: objective (``zero``, a name, ``unnamed``), level, scale relative to the aggregation."""

    objective: str
    level: str | None = None
    scale: float | None = None


@dataclass(frozen=True)
class Known:
    """The verdict that is due. ``fails`` are the checks that must fail: all of them, and no other."""

    placement: Placement
    on: Side
    off: Side
    aggregation: str | None = None
    constant: float = 1.0
    """The divisor of a constant aggregation."""
    fails: frozenset[str] = frozenset()
    returns: Side | None = None


def token_level(value: str, placement: str, correction: str, scale: float) -> tuple[Side, Side, bool]:
    """Both sides of a form whose coefficient is that of its own token, and whether its gradient knows the reference.

    ``value`` is the estimator in L, ``placement`` loss or reward, ``correction`` none, detached or differentiated.
    Off-policy the expectation is the policy's where the coefficient is rho times a function of L (sampler's prefixes).
    """
    on, off, heard = _forms(value, placement, correction)
    return _side(on, scale), _side(off, scale), heard


def _side(named: tuple[str, float | None], scale: float) -> Side:
    name, own = named
    return Side(name) if own is None else Side(name, "token", own * scale)


@cache
def _forms(value: str, placement: str, correction: str) -> tuple[Any, Any, bool]:
    from proofs.calculus import on_policy, sample_coefficient, under_policy
    from proofs.divergences import name_coefficient
    from proofs.estimators import parse_estimator
    from proofs.forms import Correction, Form
    from proofs.forms import Placement as FormPlacement
    from proofs.symbols import RHO, L

    g = sample_coefficient(Form(parse_estimator(value), FormPlacement(placement), Correction(correction)))

    def named(c: Any) -> tuple[str, float | None]:
        found = name_coefficient(c)
        return found.objective, None if found.scale is None else float(found.scale)

    here = under_policy(g)
    off = ("unnamed", None) if here.has(RHO) else named(here)
    return named(on_policy(g)), off, bool(g.has(L))
