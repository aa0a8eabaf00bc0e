"""The smallest witness: candidates go from the plainest on (one token before many, on-policy before off-policy, two
words before three, fractions of small numbers), and the first on which the rule breaks is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import torch

from oracle.case import Case
from oracle.errors import SubjectError
from oracle.replay.witness import Seen, Tabular, Witness, run
from oracle.subject.batch import Batch

Token = tuple[Fraction, Fraction, Fraction]
"""The probabilities of one token under the policy, the reference and the sampler."""


def _tokens(*texts: str) -> tuple[Token, ...]:
    return tuple((Fraction(p), Fraction(q), Fraction(m)) for p, q, m in (t.split() for t in texts))


ON_POLICY = _tokens("1/2 2/5 1/2", "2/5 1/2 2/5", "1/3 1/4 1/3", "1/4 1/3 1/4")
OFF_POLICY = _tokens("1/2 2/5 12/25", "2/5 1/2 5/12", "1/3 1/4 8/25", "1/4 1/3 6/25")
"""Mild: |L| < .35, and the importance ratio within 5%, so that no clamp or clip of usual size acts."""
SHAPES = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2))


def batch_of(tokens: Iterable[Token], shape: tuple[int, int]) -> Batch:
    """The tokens in rows of one batch, all of them counted; policy, reference and sampler in nats."""
    listed = list(tokens)
    policy, reference, sampler = (
        torch.tensor([math.log(t[i]) for t in listed], dtype=torch.float64).reshape(shape) for i in range(3)
    )
    return Batch(policy, reference, sampler, torch.ones(shape).double(), torch.zeros(shape[0]).double())


def batches(kinds: tuple[tuple[Token, ...], ...] = (ON_POLICY, OFF_POLICY)) -> Iterator[Batch]:
    """Small batches, the plainest first."""
    for shape in SHAPES:
        for tokens in kinds:
            for start in range(len(tokens)):
                cycle = [tokens[(start + i) % len(tokens)] for i in range(shape[0] * shape[1])]
                yield batch_of(cycle, shape)


_ON = {
    2: ([[1, 1], [1, 2], [2, 1]], [[2, 3], [1, 1], [3, 2]]),
    3: ([[1, 1, 1], [1, 1, 2], [2, 1, 1], [1, 2, 1]], [[3, 5, 4], [1, 1, 1], [3, 2, 2], [2, 3, 2]]),
}
_OFF = {2: [[4, 5], [5, 4], [4, 5]], 3: [[3, 4, 3], [3, 3, 4], [4, 3, 3], [3, 3, 4]]}
_TOTAL = {2: 6, 3: 12}


def tables(on: bool, returns: bool = False, vocabularies: tuple[int, ...] = (2, 3)) -> Iterator[Tabular]:
    """Tabular policies of one token, then of two; on-policy the policy is the sampler."""
    for horizon in (1, 2):
        for v in vocabularies:
            rows = 1 if horizon == 1 else 1 + v
            away = _ON[v][1][:rows]
            if on:
                # all prefixes have the same total, so that one number a sequence says how often it is drawn
                drawn = [[n * _TOTAL[v] // sum(row) for n in row] for row in _ON[v][0][:rows]]
                yield Tabular(horizon=horizon, policy=drawn, reference=away, sampler=drawn, returns=returns)
            else:
                drawn = _OFF[v][:rows]
                yield Tabular(
                    horizon=horizon, policy=_ON[v][0][:1] * rows, reference=away, sampler=drawn, returns=returns
                )


def first_broken(case: Case, witnesses: Iterable[Witness]) -> tuple[Witness, Seen] | None:
    """The first witness on which the subject breaks the rule, with what was seen; None where it breaks on none."""
    for witness in witnesses:
        try:
            seen = run(case, witness)
        except SubjectError:
            continue
        if not seen.holds:
            return witness, seen
    return None
