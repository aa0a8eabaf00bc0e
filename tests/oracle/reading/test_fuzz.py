"""Random programs: what is read is what runs, or the reading says that it cannot."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.reading.atoms import Unread
from oracle.reading.field import KlReading, at_point
from oracle.reading.reader import read
from oracle.subject.batch import Batch, from_log_ratios
from oracle.subject.binding import bind
from oracle.subject.subject import Convention, Subject
from oracle.subject.target import Target
from tests.oracle.reading.programs import REDUCE, Program, names


@st.composite
def programs(draw: Any, most: int = 6) -> Program:
    """Programs of up to ``most`` steps, the newest results favoured."""
    step = st.tuples(st.sampled_from(names()), st.sampled_from([0, 0, 0, 1, 2, 3]), st.integers(0, 6))
    return Program(tuple(draw(st.lists(step, min_size=1, max_size=most))), draw(st.sampled_from(sorted(REDUCE))))


def batch(seed: int) -> Batch:
    """Numbers on both sides of the kinks, with a ragged mask that all batches share."""
    g = torch.Generator().manual_seed(seed)
    policy = -0.3 - 2 * torch.rand(2, 2, generator=g, dtype=torch.float64)
    ratio = torch.randn(2, 2, generator=g, dtype=torch.float64) * 0.6
    weight = torch.randn(2, 2, generator=g, dtype=torch.float64) * 0.4
    return from_log_ratios(policy, ratio, weight, torch.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=torch.float64))


def check(program: Program, seed: int) -> str | None:
    """Read at one batch, compare at two others; None where nothing could be compared."""
    subject = subject_of(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reading = read(subject, "whole", batch(seed))
        except Unread as error:
            return f"unread: {error}"
        kl = KlReading(reading.full, reading.mild, reading, reading.escapes)
        rtol = 2e-3 if program.coarse() else 1e-7
        for other in (seed, *(() if reading.escapes else (seed + 1000, seed + 2000))):
            there = batch(other)
            leaf = there.policy.clone().requires_grad_()
            loss = program(leaf, there.reference, there.sampler, there.mask)
            seen = torch.autograd.grad(loss, leaf, allow_unused=True)[0] if loss.requires_grad else None
            expected = np.zeros((2, 2)) if seen is None else seen.numpy()
            if not np.isfinite(expected).all():
                continue
            try:
                formula = at_point(kl, there)
            except Unread:
                continue  # a pole
            size = max(1.0, float(np.abs(expected).max()))
            assert np.allclose(formula, expected, rtol=rtol, atol=rtol * size), (
                f"{program} at {other}: the formula gives {formula.tolist()}, {expected.tolist()} ran"
            )
    return None


def subject_of(program: Program) -> Subject:
    """A program as a subject."""

    def loss(logp: torch.Tensor, ref: torch.Tensor, old: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return program(logp, ref, old, mask)

    return Subject(Target("program", loss, None), bind(loss), Convention(), "loss")


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(programs(), st.integers(0, 99))
def test_what_is_read_is_what_runs(program: Program, seed: int) -> None:
    check(program, seed)
