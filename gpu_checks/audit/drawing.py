"""draws: whether a sampler draws from softmax(logits).

A sampler over a counter-based generator is replayed: each draw has to be the token that the same counters give, except
where the two best scores lie closer than rounding can tell, which is counted and said. One with a generator of its own
is tested by its frequencies, with both error rates stated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import draw_logits, log_softmax
from gpu_checks.audit.records import Check
from gpu_checks.formats import Array
from gpu_checks.sampling import replay
from gpu_checks.statistics import Softmax, g_detectable, g_test

_REPLAYED = 12
"""Draws a row that are replayed at the full vocabulary: each costs V logarithms in float64."""
_FREQUENT = 509
"""The vocabulary of the frequency test: draws there cost little, and it is no multiple of a block."""
_EXTREMES = ((1, 26, 138), (329, 31, 121), (364, 9, 428))
"""(seed, draw, token) where the word of row 0 is above 2^32 - 2^8, one in 2^24: there a uniform number that is rounded
carelessly is 1, and the noise infinite."""
_UNLIKELY = -30.0
"""The logit of that token: with noise of at most 17 it cannot be drawn."""
_DRAWS = {"cuda": 1_000_000}
_DRAWS_HERE = 8_000
_FALSE_ALARM, _MISS = 1e-6, 1e-3


def check_replay(context: Context) -> Check:
    """Repeat draws of a sampler from its counters, at every temperature that it takes."""
    if not context.subject.replayed:
        return Check(check="replay", outcome="skip", message="the sampler's generator is its own: see `frequencies`")
    told = near = 0
    for temperature in context.subject.temperatures:
        plain = temperature == 1.0
        runner = context.runner if plain else context.reopened({"temperature": temperature})
        try:
            for vocabulary, count in ((context.vocabulary, _REPLAYED), (_FREQUENT, 20 * _REPLAYED)):
                logits = draw_logits(context.form, 2, vocabulary, 2.0, context.random(600))
                seed = int(context.random(601).integers(2**63))
                tokens = np.asarray(runner((logits, seed, count)))
                for row in range(2):
                    due = replay(
                        logits[row].astype(np.float32), seed, np.arange(count), row, float(np.float32(1 / temperature))
                    )
                    clear = np.asarray(due.clear)
                    wrong = np.flatnonzero(clear & (tokens[row] != np.asarray(due.tokens)))
                    if wrong.size:
                        return _not_replayed(tokens[row], np.asarray(due.tokens), int(wrong[0]), row, temperature)
                    told, near = told + int(clear.sum()), near + int((~clear).sum())
        finally:
            if not plain:
                runner.close()
    for seed, draw, token in _EXTREMES:
        logits = draw_logits(context.form, 1, _FREQUENT, 2.0, context.random(604))
        logits[0, token] = _UNLIKELY
        got = int(np.asarray(context.runner((logits, seed, draw + 1)))[0, draw])
        due = replay(logits[0].astype(np.float32), seed, np.array([draw]), 0)
        right = int(np.asarray(due.tokens)[0])
        if bool(np.asarray(due.clear)[0]) and got != right:
            return Check(
                check="replay",
                outcome="fail",
                message=f"where a word is the largest, token {got} is drawn instead of {right}",
                where=f"seed {seed}, draw {draw}, token {token}",
                remedy="keep uniform numbers inside (0, 1): 24 bits and a half round to 1 in float32",
            )
        told += 1
    ties = f"; {near} were nearer than rounding tells, and were not compared" if near else ""
    return Check(
        check="replay",
        outcome="pass" if told else "fail",
        message=f"{told} draws are those that their counters give{ties}",
        measurements={"compared": told, "near_ties": near},
    )


def _not_replayed(got: Array, due: Array, draw: int, row: int, temperature: float) -> Check:
    return Check(
        check="replay",
        outcome="fail",
        message=f"draw {draw} of row {row} is token {int(got[draw])}, where its counters give {int(due[draw])}",
        where=f"row {row}, draw {draw}, temperature {temperature:g}",
        remedy="compare the counters, the uniform numbers, the scores and the ties with gpu_checks.sampling.gumbel_max",
    )


def check_frequencies(context: Context) -> Check:
    """Hold the frequencies of independent draws against softmax(logits): a G-test on two binnings."""
    draws = _DRAWS.get(context.backend, _DRAWS_HERE)
    vocabulary = context.vocabulary if context.backend in _DRAWS else _FREQUENT
    logits = draw_logits(context.form, 1, vocabulary, 2.0, context.random(602))
    claimed = Softmax.of(log_softmax(logits[0]))
    tokens = np.asarray(context.runner((logits, int(context.random(603).integers(2**63)), draws)))[0]
    # the rigorous threshold: at 1e-6 the chi-squared approximation is not what the tests measure
    outcome = g_test(tokens.astype(np.int64), claimed, _FALSE_ALARM, rigorous=True)
    rates = {"false_alarm": _FALSE_ALARM, "miss": _MISS, "draws": draws, "vocabulary": vocabulary}
    least = g_detectable(claimed, draws, _FALSE_ALARM, _MISS, rigorous=True)
    told = f"{draws} draws at V = {vocabulary}, false-alarm rate {_FALSE_ALARM:g}"
    if not outcome.alarm:
        return Check(
            check="frequencies",
            outcome="pass",
            message=f"measured: {told}; {_said(least)}",
            measurements={**rates, "statistic": outcome.statistic, "threshold": outcome.threshold},
        )
    return Check(
        check="frequencies",
        outcome="fail",
        message=f"measured: the tokens are not drawn from softmax(logits) ({told}): G = {outcome.statistic:.4g}, "
        f"threshold {outcome.threshold:.4g}",
        remedy="check temperature, tail of the vocabulary, index and the range of the uniform numbers",
        measurements={**rates, "statistic": outcome.statistic, "threshold": outcome.threshold},
    )


def _said(least: Mapping[str, float]) -> str:
    nats = " or ".join(f"{value:.2g} nats binned by {key}" for key, value in least.items())
    return f"a law further than {nats} is missed at a rate of at most {_MISS:g}"
