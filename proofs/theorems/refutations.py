"""Claims that are usually stated and are false, each with a counterexample in exact numbers."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr, Integer, Rational, log

from proofs.statements import Instance
from proofs.theorem import Theorem

_FAMILY = "refutations"

Row = Sequence[Rational]


def _row(*numbers: str) -> list[Rational]:
    return [Rational(n) for n in numbers]


def _refutation(name: str, claim: str, words: str, expr: Expr, rows: dict[str, Row], source: str) -> Theorem:
    instance = {who: "(" + ", ".join(str(n) for n in row) + ")" for who, row in rows.items()}
    return Theorem(
        f"refuted.{name}", words, Instance(expr, instance), ("the instance given",), source, _FAMILY, refutes=claim
    )


def mean_k2(policy: Row, reference: Row) -> Expr:
    """E_policy[k2], written out."""
    return _sum(p * log(p / q) ** 2 / 2 for p, q in zip(policy, reference, strict=True))


def divergence(policy: Row, reference: Row) -> Expr:
    """KL(policy||reference), written out."""
    return _sum(p * log(p / q) for p, q in zip(policy, reference, strict=True))


def _sum(terms: object) -> Expr:
    return sum(terms, Integer(0))  # type: ignore[call-overload]


def _squared_score(policy: Row, token: int) -> Expr:
    """|s|^2 in logit space: 1 - 2 p_a + sum p^2."""
    return 1 - 2 * policy[token] + _sum(p**2 for p in policy)


def _second_moment(policy: Row, coefficients: Sequence[Expr]) -> Expr:
    """E[c^2 |s|^2]: the trace of a gradient estimator's second moment."""
    return _sum(p * c**2 * _squared_score(policy, a) for a, (p, c) in enumerate(zip(policy, coefficients, strict=True)))


def _log_ratios(policy: Row, reference: Row) -> list[Expr]:
    return [log(p / q) for p, q in zip(policy, reference, strict=True)]


_SPREAD, _SPREAD_REFERENCE = _row("1/1000", "1/10", "899/1000"), _row("6/10", "3/10", "1/10")
_MERGED, _MERGED_REFERENCE = _row("101/1000", "899/1000"), _row("9/10", "1/10")
_SHARP, _UNIFORM = _row("9/10", "1/10"), _row("1/2", "1/2")
_WIDE, _WIDE_REFERENCE = _row("1/2", "1/2"), _row("9/10", "1/10")
_GOLDEN, _GOLDEN_REFERENCE = _row("4/10", "3/10", "2/10", "1/10"), _row("1/10", "2/10", "3/10", "4/10")
_TOP, _TOP_REFERENCE = _row("1/10", "3/10", "6/10"), _row("5/10", "4/10", "1/10")


def _baselined() -> Expr:
    ratios = _log_ratios(_SHARP, _UNIFORM)
    baseline = divergence(_SHARP, _UNIFORM)
    return _second_moment(_SHARP, [r - baseline for r in ratios]) - _second_moment(_SHARP, ratios)


THEOREMS = (
    _refutation(
        "k2-data-processing",
        "E[k2] is an f-divergence",
        "Merging the first two tokens raises E[k2]: it violates the data-processing inequality, so it is no "
        "f-divergence.",
        mean_k2(_MERGED, _MERGED_REFERENCE) - mean_k2(_SPREAD, _SPREAD_REFERENCE),
        {"policy": _SPREAD, "reference": _SPREAD_REFERENCE},
        "Schulman 2020 and later notes, without their condition",
    ),
    _refutation(
        "k2-overestimates",
        "k2 overestimates KL(policy||reference)",
        "Here k2 underestimates KL(policy||reference).",
        divergence(_SHARP, _UNIFORM) - mean_k2(_SHARP, _UNIFORM),
        {"policy": _SHARP, "reference": _UNIFORM},
        "true of equal-variance Gaussians, not in general",
    ),
    _refutation(
        "k2-underestimates",
        "k2 underestimates KL(policy||reference)",
        "Here k2 overestimates KL(policy||reference). Between this instance and the one where it underestimates lies "
        "one, with policy and reference different, where k2 is unbiased.",
        mean_k2(_WIDE, _WIDE_REFERENCE) - divergence(_WIDE, _WIDE_REFERENCE),
        {"policy": _WIDE, "reference": _WIDE_REFERENCE},
        "the bias of k2 has either sign",
    ),
    _refutation(
        "k3-gradient-quieter",
        "rho k3 has a gradient of lower variance than rho k1",
        "For a binary policy (0.9, 0.1) and a uniform reference the gradient of k1 with the live ratio (coefficient "
        "L + 1) has the lower variance; the means agree.",
        _second_moment(_SHARP, _log_ratios(_SHARP, _UNIFORM))
        - _second_moment(_SHARP, [r + 1 for r in _log_ratios(_SHARP, _UNIFORM)]),
        {"policy": _SHARP, "reference": _UNIFORM},
        "needs |L| small",
    ),
    _refutation(
        "divergence-baseline-quieter",
        "the baseline KL(policy||reference) lowers the variance of the gradient",
        "Here the baseline KL(policy||reference) raises the variance of the gradient of k1 in reward.",
        _baselined(),
        {"policy": _SHARP, "reference": _UNIFORM},
        "arXiv 2605.07865, without its condition",
    ),
    _refutation(
        "top-k-nonnegative",
        "sum over the top tokens of policy log(policy/reference) is a divergence",
        "Over the reference's two most likely tokens the sum of policy log(policy/reference) is negative.",
        -divergence(_TOP[:2], _TOP_REFERENCE[:2]),
        {"policy": _TOP, "reference": _TOP_REFERENCE, "tokens": _row("1", "2")},
        "top-k distillation",
    ),
    _refutation(
        "k3-same-direction",
        "k3 as loss moves every logit in the direction of KL(policy||reference)",
        "On the second token the logit gradients of KL(policy||reference), p (L - KL), and of KL(reference||policy), "
        "p - q, have opposite signs.",
        -(
            _GOLDEN[1]
            * (log(_GOLDEN[1] / _GOLDEN_REFERENCE[1]) - divergence(_GOLDEN, _GOLDEN_REFERENCE))
            * (_GOLDEN[1] - _GOLDEN_REFERENCE[1])
        ),
        {"policy": _GOLDEN, "reference": _GOLDEN_REFERENCE},
        "arXiv 2510.01555",
    ),
    _refutation(
        "k2-reward-pushes-back",
        "k2 in reward pulls under-represented tokens back",
        "Descending k2 in reward lowers the logit of the least represented token: its logit gradient "
        "p (k2 - E k2) is positive where policy < reference.",
        _GOLDEN[3] * (log(_GOLDEN[3] / _GOLDEN_REFERENCE[3]) ** 2 / 2 - mean_k2(_GOLDEN, _GOLDEN_REFERENCE)),
        {"policy": _GOLDEN, "reference": _GOLDEN_REFERENCE},
        "arXiv 2510.01555",
    ),
    _refutation(
        "k3-reward-pushes-back",
        "k3 in reward pulls under-represented tokens back",
        "Descending k3 in reward lowers the logit of the least represented token: its logit gradient "
        "p (k3 - KL(policy||reference)) is positive where policy < reference.",
        _GOLDEN[3]
        * (
            _GOLDEN_REFERENCE[3] / _GOLDEN[3]
            - 1
            + log(_GOLDEN[3] / _GOLDEN_REFERENCE[3])
            - divergence(_GOLDEN, _GOLDEN_REFERENCE)
        ),
        {"policy": _GOLDEN, "reference": _GOLDEN_REFERENCE},
        "arXiv 2512.21852 reports the collapse",
    ),
)
