"""The estimators that programs compute, and many ways to write each in Python.

A writing is an expression in ``{d}`` (the log-ratio L of policy and reference) and ``{n}`` (-L), or in ``{p}`` and
``{q}`` (the two log-probabilities). All writings of one estimator have the same derivative everywhere; their values
may differ by a constant, which only a loss may ignore.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """An estimator as an expression of ``proofs``, its writings, and its derivative in L for a backward by hand."""

    name: str
    value: str
    writings: tuple[str, ...]
    slope: tuple[str, ...]
    in_place: tuple[str, ...] = ()
    """Statements on a fresh tensor ``out`` that holds L, after which it holds the value."""


LOSSES = (
    Term(
        "k2",
        "L**2/2",
        (
            "0.5 * {d} ** 2",
            "{d}.square() / 2",
            "torch.pow({n}, 2).mul(0.5)",
            "0.5 * {d} * {d}",
            "{n} * {n} / 2.0",
            "F.mse_loss({p}, {q}, reduction='none') / 2",
            "torch.addcmul(torch.zeros_like({d}), {d}, {d}, value=0.5)",
            "torch.distributions.kl_divergence(D.Normal({p}, 1.0), D.Normal({q}, 1.0))",
            "-D.Normal({q}, 1.0, validate_args=False).log_prob({p})",
            "torch.einsum('...,...->...', {d}, {d}) * 0.5",
            "2.0 * ({p} - torch.lerp({p}, {q}, 0.5)).square()",
            "torch.stack([{d}, {n}]).square().sum(0) / 4",
            "F.gaussian_nll_loss({p}, {q}, torch.ones_like({q}), reduction='none')",
            "{d}.abs().pow(2).div(2)",
            "torch.float_power({d}, 2).to({d}.dtype) / 2",
            "({p} ** 2 - 2 * {p} * {q} + {q} ** 2) / 2",
        ),
        ("{d}", "-{n}", "1.0 * {d}"),
        ("out.pow_(2)", "out.mul_(0.5)"),
    ),
    Term(
        "k3",
        "exp(-L) - 1 + L",
        (
            "torch.exp({n}) - {n} - 1",
            "{n}.exp() - 1 - {n}",
            "torch.expm1({n}) - {n}",
            "torch.expm1(-{d}) + {d}",
            "torch.special.expm1({n}).add({d})",
            "(-{d}).exp().sub(1.0) + {d}",
            "torch.exp({q} - {p}) - ({q} - {p}) - 1",
            "F.poisson_nll_loss({n}, torch.ones_like({n}), log_input=True, reduction='none') - 1",
            "{n}.expm1().sub({n})",
            "-({n} + 1) + {n}.exp()",
            "(ratio := torch.exp({n})) - 1 + {d}",
        ),
        ("-torch.expm1(-{d})", "1 - torch.exp({n})", "1.0 - {n}.exp()"),
        ("out.copy_(torch.expm1(-out) + out)",),
    ),
    Term(
        "k1",
        "L",
        ("{d}", "{p} - {q}", "-{n}", "torch.sub({p}, {q})", "{d} * 1.0"),
        ("torch.ones_like({d})",),
    ),
    Term(
        "chi2",
        "exp(L) - 1 - L",
        ("torch.expm1({d}) - {d}", "{d}.exp() - 1 - {d}", "torch.exp({p} - {q}) - 1 + {n}", "{d}.expm1().add({n})"),
        ("torch.expm1({d})", "{d}.exp() - 1"),
    ),
    Term(
        "jeffreys",
        "L**2/2 + exp(-L) - 1 + L",
        ("0.5 * {d} ** 2 + torch.expm1({n}) - {n}", "sum([{d}.square() / 2, {n}.exp() - 1, {d}])"),
        ("{d} - torch.expm1({n})",),
    ),
    Term(
        "chi2_reference",
        "L/2 + exp(-2*L)/4",
        ("0.5 * {d} + 0.25 * torch.exp(2 * {n})", "({d} + torch.exp({n}).square() / 2) / 2"),
        ("-0.5 * torch.expm1(2 * {n})",),
    ),
    Term(
        "hellinger",
        "L/2 + exp(-L/2)",
        ("0.5 * {d} + torch.exp(0.5 * {n})", "{d} / 2 + torch.exp({n} / 2)", "{d}.div(2).add(({n} / 2).exp())"),
        ("-0.5 * torch.expm1({n} / 2)", "(1 - torch.exp({n} / 2)) / 2"),
    ),
    Term(
        "abs",
        "Abs(L)",
        ("{d}.abs()", "torch.abs({n})", "torch.maximum({d}, {n})", "F.l1_loss({p}, {q}, reduction='none')"),
        ("torch.sign({d})", "{d}.sign()"),
        ("out.abs_()",),
    ),
    Term(
        "k_lambda(1/2)",
        "L + (exp(-L) - 1)/2",
        ("{d} + 0.5 * torch.expm1({n})", "0.5 * ({n}.exp() - 1) - {n}", "torch.add({d}, {n}.expm1(), alpha=0.5)"),
        ("1 - 0.5 * torch.exp({n})",),
    ),
    Term(
        "k2 with a baseline",
        "L**2/2 + L/4",
        ("0.5 * {d} ** 2 + 0.25 * {d}", "({d} * ({d} + 0.5)) / 2"),
        ("{d} + 0.25",),
    ),
    Term(
        "k2 and k3",
        "L**2 + exp(-L) + L",
        ("{d} * {d} + torch.exp({n}) - {n}",),
        ("2 * {d} + 1 - torch.exp({n})",),
    ),
)
"""Estimators as loss: their derivatives decide."""

REWARDS = (
    Term("k1", "L", ("{d}", "{p} - {q}", "-{n}", "torch.sub({p}, {q})", "{d}.clone()"), ()),
    Term("forward", "1 - exp(-L)", ("-torch.expm1({n})", "1 - torch.exp({n})", "1.0 - {n}.exp()"), ()),
    Term("chi2", "exp(L) - 1", ("torch.expm1({d})", "torch.exp({d}) - 1"), ()),
    Term("jeffreys", "L + 1 - exp(-L)", ("{d} - torch.expm1({n})", "{d} + 1 - {n}.exp()"), ()),
    Term("hellinger", "(1 - exp(-L/2))/2", ("-0.5 * torch.expm1({n} / 2)", "(1 - torch.exp({n} / 2)) / 2"), ()),
    Term(
        "jensen_shannon",
        "(log(2) + L - log(1 + exp(L)))/2",
        ("-0.5 * F.softplus({n})", "0.5 * F.logsigmoid({d})"),
        (),
    ),
    Term("sign", "sign(L)", ("torch.sign({d})", "{d}.sign()"), ()),
    Term("k1 with a baseline", "L + 1", ("{d} + 1.0", "1 - {n}"), ()),
    Term("k2", "L**2/2", ("0.5 * {d} ** 2", "{d}.square() / 2"), ()),
    Term("k3", "exp(-L) - 1 + L", ("torch.expm1({n}) - {n}",), ()),
)
"""Coefficients in reward: their values decide, up to a constant."""

DIFFERENCES = (
    "{p} - {q}",
    "torch.sub({p}, {q})",
    "{p}.sub({q})",
    "-({q} - {p})",
    "torch.add({p}, {q}, alpha=-1)",
    "{p} + {q}.neg()",
    "{p}.clone().sub_({q})",
    "{p} - {q}.detach()",
    "torch.stack([{q}, {p}]).diff(dim=0)[0]",
    "torch.cat([{p}[..., None], -{q}[..., None]], -1).sum(-1)",
    "torch.where(torch.isfinite({q}), {p} - {q}, torch.zeros_like({p}))",
    "({p}.unsqueeze(0) - {q}.unsqueeze(0)).squeeze(0)",
    "torch.rsub({q}, {p})",
    "sum((({p}), -({q})))",
)
"""Writings of L."""
