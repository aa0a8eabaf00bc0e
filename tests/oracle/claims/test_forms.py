"""Forms, samplewise: their coefficients against autograd of literal code, against proofs, and held against losses."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracle.claims import parse_claim
from oracle.claims.claim import Form, Weight
from oracle.claims.forms import coefficients, crossing, symbolic
from oracle.claims.implication import contradiction
from oracle.subject.batch import mild
from proofs import calculus
from proofs.estimators import K1, K2, K3
from proofs.forms import Correction
from proofs.forms import Form as ProofForm
from proofs.forms import Placement as ProofPlacement
from proofs.symbols import RHO, L, token_symbols
from tests.oracle.claims.literal import case_of, forms, loss_of, written


@given(forms(), st.integers(0, 50))
@settings(max_examples=60)
def test_coefficients_are_the_gradient_of_literal_code(form: Form, seed: int) -> None:
    batch = crossing(form.weight, 2, 3, seed) if form.weight.cut else mild(2, 3, seed)
    leaf = batch.policy.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss_of(form)(leaf, batch.sampler, batch.reference), leaf)
    seen = coefficients(form, (batch.policy - batch.reference).numpy(), (batch.policy - batch.sampler).numpy())
    assert np.abs(expected.numpy()).max() > 1e-3
    np.testing.assert_allclose(seen, expected.numpy(), rtol=1e-9, atol=1e-12)


@given(forms())
@settings(max_examples=20, phases=(Phase.generate,))
def test_a_form_written_as_a_claim_is_read_back_and_holds(form: Form) -> None:
    claim = parse_claim(written(form))
    assert claim.form == form
    found = claim.hold(case_of(loss_of(form), summed=True))
    assert found.outcome == "pass", found.message


@given(forms(), forms())
@settings(max_examples=20, phases=(Phase.generate,))
def test_another_form_does_not_hold(claimed: Form, code: Form) -> None:
    claim = parse_claim(written(claimed))
    # forms that are one in the mild regime, and differ only in a threshold, are told apart by the claim that has one
    assume(contradiction(claim, parse_claim(written(code))) is not None)
    assume(claimed.weight.cut or not code.weight.cut)
    found = claim.hold(case_of(loss_of(code), summed=True))
    assert (found.outcome, found.severity) == ("fail", "error")
    assert found.counterexample is not None
    assert found.counterexample["expected"] != found.counterexample["actual"]


@pytest.mark.parametrize("placement", ["loss", "reward", "both"])
@pytest.mark.parametrize("correction", ["none", "detached", "differentiated"])
@pytest.mark.parametrize("estimator", [K1, K2, K3], ids=str)
def test_token_level_forms_are_those_of_proofs(placement: str, correction: str, estimator: object) -> None:
    own = Form(estimator, placement, Weight(correction))  # type: ignore[arg-type]
    theirs = calculus.sample_coefficient(
        ProofForm(estimator, ProofPlacement(placement), Correction(correction))  # type: ignore[arg-type]
    )
    for t, g in enumerate(symbolic(own, 2)):
        ratio, weight = token_symbols(t)
        assert sp.expand(g - theirs.xreplace({L: ratio, RHO: weight})) == 0
        assert g != 0


def truncated(limit: float) -> object:
    def loss(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
        return ((logp - old_logp).exp().clamp(max=limit).detach() * (logp - ref_logp) ** 2 / 2).mean()

    return loss


def ppo(low: float, high: float) -> object:
    def loss(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
        penalty = (logp - ref_logp).detach()
        ratio = (logp - old_logp).exp()
        return torch.maximum(ratio * penalty, ratio.clamp(low, high) * penalty).sum(-1).mean()

    return loss


@pytest.mark.parametrize(
    ("claim", "mutant", "twin"),
    [
        ("k2 as loss, weight truncated at 2", truncated(3.0), truncated(2.0)),
        ("k2 as loss, weight truncated at 2", truncated(1e9), truncated(2.0)),
        ("k1 in reward, weight clipped at 0.2", ppo(0.8, 1.3), ppo(0.8, 1.2)),
        ("k1 in reward, weight clipped at 0.2", ppo(0.0, 9.0), ppo(0.8, 1.2)),
    ],
)
def test_a_threshold_is_looked_for_where_it_is(claim: str, mutant: object, twin: object) -> None:
    held = parse_claim(claim)
    assert held.hold(case_of(twin)).outcome == "pass"  # type: ignore[arg-type]
    found = held.hold(case_of(mutant))  # type: ignore[arg-type]
    assert (found.outcome, found.evidence) == ("fail", "tested")


def test_an_aggregation_is_held_too() -> None:
    def loss(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
        k = (logp - ref_logp) ** 2 / 2
        return (k * mask).sum() / mask.sum()

    case = case_of(loss)
    assert parse_claim("k2 as loss, token-mean").hold(case).outcome == "pass"
    found = parse_claim("k2 as loss, seq-mean-token-mean").hold(case)
    assert found.outcome == "fail"
    assert "the aggregation is token-mean" in found.message


def test_no_gradient_is_no_form() -> None:
    def loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return ((logp - ref_logp).detach() ** 2).mean()

    assert parse_claim("k2 as loss").hold(case_of(loss)).outcome == "fail"


def test_a_form_is_about_the_sampled_token_alone() -> None:
    def whole(logits: Tensor, ref_logits: Tensor, mask: Tensor) -> Tensor:
        p, q = logits.log_softmax(-1), ref_logits.log_softmax(-1)
        return ((p.exp() * (p - q)).sum(-1) * mask).sum() / mask.sum()

    def sampled(logits: Tensor, input_ids: Tensor, ref_logps: Tensor, mask: Tensor) -> Tensor:
        ratio = logits.log_softmax(-1).gather(-1, input_ids[..., None])[..., 0] - ref_logps
        return (ratio**2 / 2 * mask).sum() / mask.sum()

    claim = parse_claim("k2 as loss")
    found = claim.hold(case_of(whole))
    assert found.outcome == "fail"
    assert "the whole vocabulary enters" in found.message
    assert claim.hold(case_of(sampled)).outcome == "pass"


@pytest.mark.parametrize("scale", [-1.0, 0.5, 2.0])
def test_what_holds_instead_is_a_claim_that_holds(scale: float) -> None:
    def loss(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
        weight = (logp - old_logp).exp().detach()
        return scale * (weight * (torch.expm1(ref_logp - logp) + logp - ref_logp)).sum()

    case = case_of(loss, summed=True)
    failed = parse_claim("k2 as loss").hold(case)
    assert failed.outcome == "fail"
    instead = failed.message.partition("what holds: ")[2]
    assert instead.endswith("*k3 as loss, weight detached")
    assert parse_claim(instead).hold(case).outcome == "pass"
