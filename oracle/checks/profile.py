"""The coefficient of one token as its log-ratio runs through a range, all else mild: what the tail checks look at."""

from __future__ import annotations

import numpy as np
import sympy as sp
import torch
from jaxtyping import Float64

from oracle.case import Case
from oracle.probing.signal import kl_part
from oracle.reading.atoms import Unread
from oracle.reading.reader import log_ratio
from oracle.reading.regimes import Regime
from oracle.subject.batch import from_log_ratios

Numbers = Float64[np.ndarray, " ratios"]


def coefficients(
    case: Case, ratios: Numbers, dtype: torch.dtype = torch.float64, policy: Numbers | None = None
) -> Numbers:
    """The signal of the first of two tokens with L = ``ratios``, one sequence each, on-policy (rho = 1)."""
    n = len(ratios)
    at = torch.full((n, 2), -1.2, dtype=torch.float64)
    if policy is not None:
        at[:, 0] = torch.from_numpy(policy)
    ratio = torch.stack([torch.from_numpy(np.ascontiguousarray(ratios)), torch.full((n,), 0.2, dtype=torch.float64)], 1)
    batch = from_log_ratios(at, ratio)
    subject = case.subject if dtype is torch.float64 else case.subject.at_precision(dtype)
    out: Numbers = (
        kl_part(subject, case.placement, batch.to(dtype) if dtype is not torch.float64 else batch)
        .coefficient[:, 0]
        .numpy()
    )
    return out


def regime_at(case: Case, ratio: float) -> Regime | None:
    """The regime at L = ``ratio`` of the first token, on-policy; None where nothing was read."""
    if case.kl is None:
        return None
    point = {
        s: (0.2 if s.name.startswith("L_") else -1.2 if s.name.startswith("logp") else 0.0)
        for s in case.kl.reading.symbols
    }
    return Regime({**point, log_ratio(0, 0): ratio}, strict=False)


def branch(case: Case, ratio: float) -> sp.Expr | None:
    """The formula of that coefficient in the branch that holds there, as it was computed; None where unread."""
    regime = regime_at(case, ratio)
    try:
        return None if regime is None or case.kl is None else regime.resolve(case.kl.full[0, 0])
    except Unread:
        return None


def coupled(case: Case) -> bool:
    """Whether sequences of a batch hear each other, so that one cannot be varied alone."""
    if case.field is not None:
        return case.field.coupled
    shifted = np.array([0.1, 0.1, 0.1]), np.array([0.1, 0.3, -0.3])
    a, b = (coefficients(case, r)[0] for r in shifted)
    return not bool(abs(a - b) <= 1e-9 * max(abs(a), 1e-30))
