"""aggregation: how a loss weighs tokens of sequences of unequal length."""

from __future__ import annotations

import numpy as np

from oracle.case import Case
from oracle.checks.profile import coupled
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.aggregation import Shape, weights
from oracle.subject.roles import Role

MEANING = {
    "token-mean": "every token of the batch weighs the same, 1 over their number",
    "seq-mean-token-mean": "every sequence weighs the same, its tokens 1 over its length",
    "seq-mean-token-sum": "every token weighs the same, 1 over the number of sequences",
    "constant": "every token weighs the same, 1 over a constant",
    "sum": "every token weighs 1",
}


@check(
    "aggregation",
    question="Are tokens of unequal sequences weighed by a normalisation that has a name?",
    severity="warning",
    failure="tokens of unequal sequences are weighed by no normalisation it knows",
    remedy="divide the masked sum by the tokens of the batch, by each sequence's length, or by a constant",
    no_theorem="which normalisation is meant is for its author to say",
)
def aggregation(case: Case) -> Answer:
    """Token-mean, seq-mean-token-mean, seq-mean-token-sum, constant or sum, over batches of several shapes."""
    if case.subject.kind != "loss":
        return skipped("the caller of a penalty aggregates it")
    if not case.subject.has(Role.MASK):
        return skipped("no parameter plays the mask, so lengths cannot differ")
    found = case.aggregation
    if found is not None and found.ragged and found.name is not None:
        return passed(f"{found.name}: {MEANING[found.name]}")
    if coupled(case):
        return skipped("sequences of a batch are coupled; a token's weight cannot be told from their numbers")
    seen = weights(case.subject, Shape((4, 2), 4))
    if not (np.isfinite(seen).all() and np.abs(seen).max() > case.noise):
        return skipped("there is no gradient to weigh")
    if case.tolerance > 1e-3:
        return skipped("the code works in 16 bits, too coarse to compare weights")
    long, short = seen[0], seen[1, :2]
    if np.ptp(long) > 1e-5 * np.abs(seen).max() or np.ptp(short) > 1e-5 * np.abs(seen).max():
        what = "tokens of one sequence weigh differently"
    elif long[0] == 0:
        what = "a sequence of 4 tokens weighs nothing beside one of 2"
    elif np.ptp(seen[seen != 0]) <= 1e-5 * np.abs(seen).max():
        what = "tokens of one batch weigh alike, but not 1 over a number of tokens, of sequences, or over a constant"
    else:
        what = f"beside a sequence of 4 tokens, a token of one of 2 weighs {short[0] / long[0]:.4g} times as much"
    rows = [[float(f"{x:.6g}") for x in row] for row in seen.tolist()]
    return Answer("fail", what, "tested", {"lengths": [4, 2], "weights": rows})
