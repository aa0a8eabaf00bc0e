"""What a generated function should give, to many digits, from the formula and not from the plan."""

import math

import mpmath
import numpy as np
import sympy as sp

from proofs.calculus import sample_coefficient
from proofs.divergences import OBJECTIVES
from proofs.estimators import ABS_K1, K1, K2, K3, k_lambda
from proofs.forms import Correction, Form, Placement
from proofs.lowering.entries import LAM
from proofs.symbols import RHO, THRESHOLD, L, U

SIZES = np.concatenate([10.0 ** np.linspace(-12, np.log10(700), 130), [0.25, 0.4999999, 0.5, 1.0, 1.0000001, 2.0]])
POINTS = np.sort(np.concatenate([SIZES, -SIZES]))
"""L of both signs from 1e-12 to 700, and the ends of the series."""

_PLACED = {"as_loss": Placement.LOSS, "in_reward": Placement.REWARD, "in_both": Placement.BOTH}


def formulas():
    """Each documented function's formula, by the name that it should have."""
    found = {}
    estimators = {"k1": K1, "k2": K2, "k3": K3, "abs_k1": ABS_K1, "k_lambda": k_lambda(LAM)}
    for name, estimator in estimators.items():
        found[name] = estimator.value
        for placed, placement in _PLACED.items():
            found[f"{name}_{placed}"] = sample_coefficient(Form(estimator, placement))
            for correction in (Correction.DETACHED, Correction.DIFFERENTIATED, Correction.TRUNCATED):
                found[f"{name}_{placed}_{correction}"] = sample_coefficient(Form(estimator, placement, correction))
    for name, objective in OBJECTIVES.items():
        f = objective.generator
        u = sp.exp(L)
        term = (f - sp.diff(f, U).subs(U, 1) * (U - 1)).subs(U, u)
        found[f"{name}_coefficient"] = sp.diff(f, U).subs(U, u) - sp.diff(f, U).subs(U, 1)
        found[f"{name}_term"] = term
        found[f"{name}_term_over_ratio"] = term / u
    return found


def arguments_of(expr, name):
    """The function's parameters in order: L, then lam, rho and C where they are in it."""
    own = [s.name for s in (LAM, RHO, THRESHOLD) if expr.has(s)]
    if "k_lambda" in name and "lam" not in own:
        own.insert(0, "lam")
    return ["L", *own]


_SYMBOLS = {"L": L, "lam": LAM, "rho": RHO, "C": THRESHOLD}


def exact_values(expr, names, rows):
    """The values at the rows of arguments, and how much a change of L by one part moves them."""
    symbols = [_SYMBOLS[name] for name in names]
    value = sp.lambdify(symbols, expr, "mpmath")
    slope = sp.lambdify(symbols, sp.diff(expr, L).replace(sp.DiracDelta, lambda *_: sp.S.Zero), "mpmath")
    for row in rows:
        # terms as large as exp(+-2L) take 0.87 digits for each unit of L, and powers of a small L some tens
        with mpmath.workdps(100 + math.ceil(0.9 * abs(float(row[0])))):
            exactly = [mpmath.mpf(float(x)) for x in row]
            v = +value(*exactly)
            moved = abs(slope(*exactly)) * min(abs(exactly[0]), 1)
        yield v, moved


def worst_ulps(values, expr, names, rows, dtype=np.float64):
    """The largest error in units in the last place of the value (or of its change, near its zeros)."""
    info = np.finfo(dtype)
    worst = 0.0
    for got, (v, moved) in zip(values, exact_values(expr, names, rows), strict=True):
        if abs(v) > mpmath.mpf(float(info.max)):
            assert np.isinf(got) or abs(got) == info.max, (got, v)
            assert np.sign(got) == mpmath.sign(v)
            continue
        scale = max(abs(v), moved, mpmath.mpf(float(info.tiny)))
        worst = max(worst, float(abs(mpmath.mpf(float(got)) - v) / (scale * mpmath.mpf(float(info.eps)))))
    return worst
