"""Estimators of KL(policy||reference) from one drawn token: expressions in L = log(policy/reference).

k1, k2 and k3 are those of Schulman, "Approximating KL Divergence" (joschu.net/blog/kl-approx.html,
2020), whose ratio r is reference/policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sympy import Abs, Expr, Rational, exp, sympify

from proofs.expression_syntax import EstimatorError, read_expression
from proofs.symbols import L

__all__ = [
    "ABS_K1",
    "ESTIMATORS",
    "K1",
    "K2",
    "K3",
    "Estimator",
    "EstimatorError",
    "k_lambda",
    "parse_estimator",
]


@dataclass(frozen=True)
class Estimator:
    """A named expression in L, and where it comes from."""

    name: str
    value: Expr
    source: str

    def __str__(self) -> str:
        return self.name

    def _repr_latex_(self) -> str:
        """Return the value for a notebook."""
        from proofs.report.jupyter import estimator_latex

        return estimator_latex(self)


K1 = Estimator("k1", L, "Schulman 2020, k1 = -log r")
K2 = Estimator("k2", L**2 / 2, "Schulman 2020, k2 = (log r)^2 / 2")
K3 = Estimator("k3", exp(-L) - 1 + L, "Schulman 2020, k3 = (r - 1) - log r")
ABS_K1 = Estimator("abs", Abs(L), "verl, kl_penalty 'abs': |k1|")


def k_lambda(lam: Expr | float | int) -> Estimator:
    """Return k1 + lam (r - 1): unbiased for every lam; k1 at 0, k3 at 1 (Schulman 2020)."""
    number = Rational(repr(lam)) if isinstance(lam, float) else sympify(lam)
    value = L + number * (exp(-L) - 1)
    return Estimator(f"k_lambda({number})", value, "Schulman 2020, k1 + lam (r - 1)")


ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        "k1": K1,
        "kl": K1,
        "k2": K2,
        "mse": K2,
        "k3": K3,
        "low_var_kl": K3,
        "abs": ABS_K1,
    }
)
"""By name, with the synonyms that libraries use."""


def parse_estimator(text: str) -> Estimator:
    """Return the estimator of that name, or the one that the expression in L writes.

    >>> parse_estimator("low_var_kl").name
    'k3'
    >>> parse_estimator("L^2/2").value
    L**2/2
    """
    known = ESTIMATORS.get(text.strip().lower())
    if known is not None:
        return known
    return Estimator(text.strip(), read_expression(text), "given as an expression")
