"""Whole rows: log-probabilities, values, coefficients, divergences and gradients of float32 code inside their bounds.

The code that runs is written here in NumPy float32, in three summation shapes and three ways of writing k3; the exact
numbers are longdouble, computed here too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from gpu_checks.bounds.cost import CostModel, K3Form, one_chain, strided_block
from gpu_checks.bounds.sampled import expected, formula_of
from gpu_checks.bounds.softmax import log_softmax, scaled
from gpu_checks.bounds.tracked import Arithmetic
from gpu_checks.bounds.whole import FORMULAS, expected_whole, formula_of_objective
from gpu_checks.formats import BFLOAT16, FLOAT16, FLOAT32, FORMATS, Format
from gpu_checks.subject import SampledBatch, WholeBatch
from oracle.errors import ClaimError

F, LD = np.float32, np.longdouble
Sum = Callable[[np.ndarray], np.ndarray]


def block_sum(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, (0, -len(x) % 256)).reshape(-1, 256)
    sums = np.cumsum(padded, axis=0, dtype=F)[-1]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    return sums[0]


def chain_sum(x: np.ndarray) -> np.ndarray:
    return np.cumsum(x, dtype=F)[-1]


SHAPES: dict[str, tuple[Sum, CostModel]] = {
    "block": (block_sum, CostModel(chain=strided_block(256))),
    "chain": (chain_sum, CostModel(chain=one_chain())),
}


def log_probabilities(x: np.ndarray, total: Sum) -> np.ndarray:
    """As a kernel does it, in float32."""
    top = x.max()
    return np.asarray(x - (top + np.log(total(np.exp(x - top)))))


def exact_log_probabilities(x: np.ndarray) -> np.ndarray:
    wide = x.astype(LD)
    top = wide.max()
    return np.asarray(wide - top - np.log(np.exp(wide - top).sum()))


def ratio(got: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> float:
    return float((abs(got.astype(LD) - exact) / bound).max())


def draw(form: Format, vocabulary: int, spread: float, shift: float, seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, vocabulary])
    return form.store(random.standard_normal(vocabulary) * spread + shift)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("vocabulary", [32, 1000, 32_768, 131_072])
def test_log_probabilities(shape: str, vocabulary: int) -> None:
    total, cost = SHAPES[shape]
    found = []
    for seed, (form, spread, shift) in enumerate(
        (f, s, c) for f in FORMATS.values() for s, c in ((0.3, 0.0), (2.0, 20.0), (6.0, -50.0))
    ):
        x = draw(form, vocabulary, spread, shift, seed).astype(F)
        due = log_softmax(Arithmetic(cost), scaled(Arithmetic(cost), x, 1.0))
        found.append(ratio(log_probabilities(x, total), exact_log_probabilities(x), due.error))
    assert max(found) <= 1.0
    assert max(found) > 0.005  # no bound that anything would pass


def test_a_chain_exceeds_the_bound_of_a_block_on_equal_logits() -> None:
    x = np.full(131_072, 0.1, F)
    x[0] += F(0.3)
    due = log_softmax(Arithmetic(SHAPES["block"][1]), scaled(Arithmetic(SHAPES["block"][1]), x, 1.0))
    assert ratio(log_probabilities(x, chain_sum), exact_log_probabilities(x), due.error) > 1.0


K3: dict[K3Form, Callable[[np.ndarray], np.ndarray]] = {
    "naive": lambda t: np.exp(t) - t - F(1),
    "expm1": lambda t: np.expm1(t) - t,
    "switched": lambda t: np.where(
        abs(t) < F(0.25),
        t * t * (F(1 / 2) + t * (F(1 / 6) + t * (F(1 / 24) + t * (F(1 / 120) + t * (F(1 / 720) + t * F(1 / 5040)))))),
        np.expm1(t) - t,
    ),
}


def k3_ratios(how: K3Form, declared: K3Form) -> list[float]:
    """Error / bound of k3's value where logits give the log-ratio: two tokens, many references."""
    cost = replace(SHAPES["block"][1], k3=declared)
    formula = formula_of("k3 as loss")
    out = []
    for size in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 5.0):
        random = np.random.default_rng(int(size * 1e4))
        logits = random.standard_normal((40, 8)).astype(F)
        own = np.array([exact_log_probabilities(row)[0] for row in logits])
        reference = (own - size * random.choice([-1, 1], 40) * random.uniform(0.7, 1.3, 40)).astype(F)
        batch = SampledBatch(logits, np.zeros(40, np.int64), reference, np.ones(40, F))
        for row in range(40):
            due = expected(formula, batch, row, cost, FLOAT32)
            t = reference[row] - log_probabilities(logits[row], block_sum)[0]
            wide = LD(reference[row]) - own[row]
            exact = np.expm1(wide) - wide
            out.append(float(abs(LD(K3[how](np.asarray(t))) - exact) / due.value.error))
    return out


@pytest.mark.parametrize("how", K3)
def test_values_of_k3_in_each_way_of_writing_it(how: K3Form) -> None:
    assert max(k3_ratios(how, how)) <= 1.0


def test_the_naive_k3_exceeds_the_bound_of_a_careful_one() -> None:
    assert max(k3_ratios("naive", "switched")) > 1.0


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("claim", ["k1 in reward", "k2 as loss", "k3 as loss", "k3 in reward"])
def test_gradients_of_scored_tokens(form: Format, claim: str) -> None:
    """Every entry, as stored; a gradient whose coefficient is that of another estimator is far outside."""
    formula, cost = formula_of(claim), SHAPES["block"][1]
    coefficient: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "k1 in reward": lambda r: r,
        "k2 as loss": lambda r: r,
        "k3 as loss": lambda r: F(1) - np.exp(-r),
        "k3 in reward": lambda r: np.exp(-r) - F(1) + r,
    }
    found, other = [], []
    for vocabulary in (257, 5_000, 50_000):
        logits = draw(form, vocabulary, 2.0, 3.0, 1)[None]
        own = exact_log_probabilities(logits[0].astype(F))
        for token in (0, vocabulary - 1):
            reference = np.array([own[token] - 0.4], F)
            batch = SampledBatch(logits, np.array([token]), reference, np.array([-0.5], F))
            due = expected(formula, batch, 0, cost, form).gradient
            log_p = log_probabilities(logits[0].astype(F), block_sum)
            one_hot = (np.arange(vocabulary) == token).astype(F)
            direction = one_hot - np.exp(log_p)
            step = log_p[token] - reference[0]
            for c, into in ((coefficient[claim], found), (lambda r: F(1.5) * r, other)):
                got = form.store(F(-0.5) * (c(step) * direction)).astype(F)
                into.append(ratio(got, due.value.astype(LD), due.error))
    assert max(found) <= 1.0
    assert max(found) > (0.5 if form is not FLOAT32 else 0.01)
    assert min(other) > 1.0


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("vocabulary", [32, 1000, 40_000])
def test_divergences_and_their_gradients(form: Format, vocabulary: int) -> None:
    cost = SHAPES["block"][1]
    for seed, (spread, apart) in enumerate(((0.3, 0.02), (2.0, 0.3), (6.0, 1e-3))):
        x, y = draw(form, vocabulary, spread, 1.0, seed), draw(form, vocabulary, spread, 1.0, seed)
        noise = np.random.default_rng(seed).standard_normal(vocabulary) * apart
        y = form.store(x.astype(float) + noise)
        batch = WholeBatch(x[None], y[None], np.array([2.0], F))
        a, b = (log_probabilities(z.astype(F), block_sum) for z in (x, y))
        exact_a, exact_b = (exact_log_probabilities(z.astype(F)) for z in (x, y))
        p, q, exact_p, exact_q = np.exp(a), np.exp(b), np.exp(exact_a), np.exp(exact_b)
        kl, exact_kl = block_sum(p * (a - b)), (exact_p * (exact_a - exact_b)).sum()
        value, gradient = expected_whole(FORMULAS["reverse_kl"], batch, 0, cost, form)
        assert abs(LD(kl) - exact_kl) <= value.error
        got = form.store(F(2) * (p * ((a - b) - kl))).astype(F)
        assert ratio(got, 2 * exact_p * (exact_a - exact_b - exact_kl), gradient.error) <= 1.0
        uncentred = form.store(F(2) * (p * (a - b))).astype(F)
        if apart > 0.1:
            assert ratio(uncentred, 2 * exact_p * (exact_a - exact_b - exact_kl), gradient.error) > 1.0
        value, gradient = expected_whole(FORMULAS["forward_kl"], batch, 0, cost, form)
        assert abs(LD(block_sum(q * (b - a))) - (exact_q * (exact_b - exact_a)).sum()) <= value.error
        assert ratio(form.store(F(2) * (p - q)).astype(F), 2 * (exact_p - exact_q), gradient.error) <= 1.0


def test_log_probabilities_kept_in_16_bits_are_outside() -> None:
    """|logp| is about 12 at V = 131072: stored in bfloat16 and subtracted, the log-ratio is off by 4e-2."""
    logits = draw(BFLOAT16, 20_000, 2.0, 0.0, 3)[None]
    own = exact_log_probabilities(logits[0].astype(F))
    batch = SampledBatch(logits, np.array([7]), np.array([own[7] - 0.1], F), np.ones(1, F))
    due = expected(formula_of("k1 in reward"), batch, 0, SHAPES["block"][1], FLOAT32)
    kept = float(np.asarray(own[7], F).astype(ml_dtypes.bfloat16)) - float(batch.reference[0])
    assert abs(kept - float(due.value.value)) > 10 * float(due.value.error)


def test_the_gradient_of_a_mean_over_many_tokens_is_flushed_in_float16_and_the_bound_knows_it() -> None:
    logits = draw(FLOAT16, 20_000, 2.0, 0.0, 3)[None]
    own = exact_log_probabilities(logits[0].astype(F))
    batch = SampledBatch(logits, np.array([7]), np.array([own[7] - 0.1], F), np.array([1 / 4096], F))
    due = expected(formula_of("k1 in reward"), batch, 0, SHAPES["block"][1], FLOAT16).gradient
    flushed = FLOAT16.store(due.value).astype(float)
    assert (flushed == 0).mean() > 0.5
    assert ratio(flushed, due.value.astype(LD), due.error) <= 1.0


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("reverse_kl", "names an objective"),
        ("k3 as loss, weight prefix detached", "single tokens"),
        ("k3 as loss, weight detached truncated at 2", "leave out"),
        ("k9 as loss", "k9"),
    ],
)
def test_claims_that_a_scored_token_cannot_be_held_against(claim: str, said: str) -> None:
    with pytest.raises(ClaimError, match=said):
        formula_of(claim)


def test_an_objective_without_a_formula_is_answered_with_the_nearest() -> None:
    with pytest.raises(ClaimError, match="did you mean 'reverse_kl'"):
        formula_of_objective("reverse_kll")
    with pytest.raises(ClaimError, match="use one of reverse_kl"):
        formula_of_objective("k3 as loss")
