"""The grammar: a seed and a number draw one program, written out as Python, with the verdict that is due.

A form is drawn first (estimator, placement, correction, aggregation), and its verdict follows from it; then a way to
write it is drawn (names, dtype, helpers, containers, masks, loops), which must change nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from oracle.trust.estimators import DIFFERENCES, LOSSES, REWARDS, Term
from oracle.trust.known import Known, Side, token_level
from oracle.trust.writing import Writer

_SCALES = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 2.0, 3.0, 0.25, -1.0)


@dataclass(frozen=True)
class Program:
    """A program: its source, the function to judge, and what is known of it."""

    seed: int
    index: int
    source: str
    function: str
    known: Known
    traits: tuple[str, ...]
    """What was drawn, for a histogram of what went wrong."""


def program(seed: int, index: int) -> Program:
    """The program of this number."""
    rng = random.Random(f"{seed}/{index}")
    shape = rng.choices((_penalty, _loss, _surrogate, _sequence, _returns), (3, 6, 4, 2, 1))[0]
    writer = Writer(rng)
    known = shape(rng, writer)
    return Program(seed, index, writer.source(), writer.name, known, tuple(writer.traits))


def _fails(on: Side, heard: bool) -> frozenset[str]:
    """The checks that the theorems themselves make fail: a gradient without the reference, one that ascends."""
    out = set()
    if not heard:
        out.add("reference.dependence")
    if on.scale is not None and on.scale < 0:
        out.add("sign")
    return frozenset(out)


def _term(rng: random.Random, terms: tuple[Term, ...]) -> Term:
    """The usual estimators more often than the others."""
    return rng.choice(terms[:2]) if rng.random() < 0.5 else rng.choice(terms)


def _penalty(rng: random.Random, w: Writer) -> Known:
    """A function of one value a token, judged at one placement."""
    placement = rng.choice(("loss", "reward"))
    term = _term(rng, LOSSES if placement == "loss" else REWARDS)
    correction = rng.choice(("none", "none", "none", "detached", "differentiated")) if placement == "loss" else "none"
    scale = rng.choice(_SCALES) if term.value != "L" or placement == "reward" else 1.0
    on, off, heard = token_level(term.value, placement, correction, scale)
    w.trait(f"penalty {placement}", term.name, correction)
    value = w.estimator(term, rng.choice(DIFFERENCES))
    value = w.weighted(value, correction)
    w.finish_penalty(w.scaled(value, scale))
    returns = None
    if placement == "reward" and term.name == "k1":
        returns = Side("reverse_kl", "sequence", scale)
    return Known(placement, on, off, fails=_fails(on, heard), returns=returns)  # type: ignore[arg-type]


def _loss(rng: random.Random, w: Writer) -> Known:
    """A policy-gradient loss with an estimator as loss, aggregated."""
    term = _term(rng, LOSSES)
    correction = rng.choice(("none", "none", "detached", "differentiated"))
    scale = rng.choice(_SCALES) if term.name != "k1" or correction == "differentiated" else 1.0
    on, off, heard = token_level(term.value, "loss", correction, scale)
    w.trait("loss", term.name, correction)
    value = w.weighted(w.estimator(term, rng.choice(DIFFERENCES)), correction)
    aggregation, constant = w.finish_loss(w.scaled(value, scale))
    return Known("whole", on, off, aggregation, constant, _fails(on, heard))


def _surrogate(rng: random.Random, w: Writer) -> Known:
    """A policy-gradient loss whose advantages hold the penalty, detached."""
    term = _term(rng, REWARDS)
    weighted = rng.random() < 0.6
    scale = rng.choice(_SCALES)
    on, off, heard = token_level(term.value, "reward", "detached" if weighted else "none", scale)
    w.trait("surrogate", term.name, "weighted" if weighted else "plain")
    value = w.estimator(term, rng.choice(DIFFERENCES), in_place=False)
    aggregation, constant = w.finish_surrogate(w.scaled(value, scale), weighted)
    return Known("whole", on, off, aggregation, constant, _fails(on, heard))


def _sequence(rng: random.Random, w: Writer) -> Known:
    """A loss on the log-ratio of whole answers, where the answer is one action."""
    name = rng.choice(("k2", "k3", "chi2", "k1"))
    term = next(t for t in LOSSES if t.name == name)
    # k1 means nothing without a weight that carries gradient
    correction = "differentiated" if term.name == "k1" else rng.choice(("none", "detached", "differentiated"))
    scale = rng.choice(_SCALES)
    on, off, heard = token_level(term.value, "loss", correction, scale)
    w.trait("sequence", term.name, correction)
    aggregation = w.finish_sequence(term, rng.choice(DIFFERENCES), correction, scale)
    on, off = (Side(s.objective, s.level and "sequence", s.scale) for s in (on, off))
    return Known("whole", on, off, aggregation, fails=_fails(on, heard))


def _returns(rng: random.Random, w: Writer) -> Known:
    """A policy-gradient loss whose returns-to-go hold the log-ratio from each token on."""
    weight = rng.choice(("none", "token", "answer"))
    scale = rng.choice(_SCALES)
    w.trait("returns", "k1", weight)
    w.finish_returns(rng.choice(DIFFERENCES), weight, scale)
    on = Side("reverse_kl", "sequence", scale)
    off = on if weight == "answer" else Side("unnamed")
    return Known("whole", on, off, "seq-mean-token-sum", fails=_fails(on, True))
