"""The bounds hold for float32 arithmetic, call by call and sum by sum, against numbers of twice the digits.

Random inputs in longdouble (64 bits of significand); about 60,000 cases. For each rule a mutant of it is caught.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from gpu_checks.bounds.cost import CostModel, one_chain, strided_block
from gpu_checks.bounds.tracked import Arithmetic, Tracked, exactly, stored
from gpu_checks.formats import BFLOAT16, FLOAT16, FLOAT32, FORMATS, Format

COST = CostModel(chain=one_chain())
F = np.float32
N = 3_000


def perturbed(random: np.random.Generator, spread: float, positive: bool = False) -> tuple[np.ndarray, Tracked]:
    """What a kernel holds in float32, and the tracked number that says so: exact values within the error."""
    held = (random.standard_normal(N) * np.exp(random.uniform(-spread, spread, N))).astype(F)
    if positive:
        held = abs(held) + F(1e-3)
    error = abs(held.astype(float)) * 10.0 ** random.uniform(-7, -3, N)
    exact = held.astype(float) + random.uniform(-1, 1, N) * error
    return held, Tracked(exact, error)


def worst(got: np.ndarray, due: Tracked) -> float:
    """The greatest error / bound."""
    return float((abs(got.astype(np.longdouble) - due.value) / due.error).max())


BINARY: dict[str, Callable[[object, object], object]] = {
    "+": lambda a, b: a + b,  # type: ignore[operator]
    "-": lambda a, b: a - b,  # type: ignore[operator]
    "*": lambda a, b: a * b,  # type: ignore[operator]
    "/": lambda a, b: a / b,  # type: ignore[operator]
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("seed", range(3))
def test_each_operation_stays_inside_its_bound(name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    (a, x), (b, y) = perturbed(random, 4.0), perturbed(random, 4.0)
    got, due = BINARY[name](a, b), BINARY[name](x, y)
    assert isinstance(due, Tracked)
    assert 0.05 < worst(np.asarray(got), due) <= 1.0


@pytest.mark.parametrize("name", BINARY)
def test_a_bound_that_forgets_the_errors_of_its_operands_is_exceeded(name: str) -> None:
    random = np.random.default_rng(0)
    (a, x), (b, y) = perturbed(random, 4.0), perturbed(random, 4.0)
    due = BINARY[name](exactly(x.value), exactly(y.value))
    assert isinstance(due, Tracked)
    assert worst(np.asarray(BINARY[name](a, b)), due) > 1.0


@pytest.mark.parametrize("seed", range(3))
def test_exp_expm1_and_log(seed: int) -> None:
    random = np.random.default_rng(seed)
    arithmetic = Arithmetic(COST)
    a, x = perturbed(random, 2.0)
    assert worst(np.exp(a), arithmetic.exp(x)) <= 1.0
    assert worst(np.expm1(a), arithmetic.expm1(x)) <= 1.0
    b, y = perturbed(random, 3.0, positive=True)
    assert worst(np.log(b), arithmetic.log(y)) <= 1.0


def test_exp_by_exp2_rounds_the_exponent_and_the_plain_bound_does_not_know_it() -> None:
    """exp2 of a rounded x log2(e), as ex2.approx is called: inside its own bound, outside that of a good exp."""
    x = np.linspace(-80.0, -40.0, N).astype(F)
    got = np.exp2((x * F(np.log2(np.e))).astype(F))
    plain = Arithmetic(dataclasses.replace(COST, exp_ulp=1.0)).exp(exactly(x))
    bent = Arithmetic(dataclasses.replace(COST, exp_ulp=1.0, exp_by_exp2=True)).exp(exactly(x))
    assert worst(got, bent) <= 1.0 < worst(got, plain)


def strided(values: np.ndarray, threads: int) -> np.ndarray:
    """What a block of threads does: a sum each, then a tree."""
    padded = np.pad(values, (0, -len(values) % threads)).reshape(-1, threads)
    sums = np.cumsum(padded, axis=0, dtype=F)[-1]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    return sums


def chained(values: np.ndarray) -> np.ndarray:
    """One accumulator."""
    return np.cumsum(values, dtype=F)[-1:]


@pytest.mark.parametrize("length", [32, 1000, 32_768, 131_072, 262_144])
@pytest.mark.parametrize("kind", ["equal", "random", "signed"])
def test_sums_stay_inside_the_bound_of_their_longest_chain(length: int, kind: str) -> None:
    random = np.random.default_rng(length)
    values = {
        "equal": np.full(length, 0.1),
        "random": random.uniform(0, 1, length),
        "signed": random.standard_normal(length),
    }[kind].astype(F)
    for got, chain in ((strided(values, 256), strided_block(256)), (chained(values), one_chain())):
        due = Arithmetic(CostModel(chain=chain)).sum(exactly(values))
        assert worst(got, due) <= 1.0


def test_one_chain_exceeds_the_bound_of_a_block() -> None:
    """Equal addends round the same way each time: what a probabilistic bound would miss."""
    values = np.full(131_072, 0.1, F)
    due = Arithmetic(CostModel(chain=strided_block(256))).sum(exactly(values))
    assert worst(chained(values), due) > 1.0


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_store_to_nearest_stays_inside_and_one_that_truncates_does_not(form: Format) -> None:
    random = np.random.default_rng(5)
    values = (random.standard_normal(N) * np.exp(random.uniform(-12, 4, N))).astype(F)
    due = stored(exactly(values), form)
    assert worst(form.rounded(values), due) <= 1.0
    if form is BFLOAT16:
        truncated = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(F)
        assert worst(truncated, due) > 1.0
    if form is FLOAT16:  # flushed to zero instead of kept as a subnormal number
        flushed = np.where(abs(values) < 2.0**-14, 0.0, form.rounded(values))
        assert worst(flushed, due) > 1.0


def test_what_overflows_float32_or_the_store_has_no_bound() -> None:
    arithmetic = Arithmetic(COST)
    assert np.isinf(arithmetic.exp(exactly(np.array([89.0]))).error).all()
    assert np.isinf((exactly(np.array([3e38])) + exactly(np.array([3e38]))).error).all()
    assert np.isinf(stored(exactly(np.array([7e4])), FLOAT16).error).all()
    assert np.isfinite(stored(exactly(np.array([7e4])), FLOAT32).error).all()


def test_exp_of_minus_infinity_is_exactly_zero() -> None:
    nothing = Arithmetic(COST).exp(exactly(np.array([-np.inf, 0.0])))
    assert nothing.value[0] == 0.0
    assert nothing.error[0] == 0.0
