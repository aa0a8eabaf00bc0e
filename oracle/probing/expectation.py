"""Exact expected gradients at the logits: of the subject, and of each objective."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float64

from oracle.probing.instances import Answers, Instance, Table
from oracle.probing.signal import Signal, kl_part, kl_part_on_logits
from oracle.subject.batch import Batch
from oracle.subject.subject import Placement, Subject
from oracle.subject.vocabulary import Tables

Numbers = Float64[np.ndarray, "..."]
Weights = Float64[np.ndarray, "answers horizon"]


def as_batch(instance: Instance) -> tuple[Batch, Answers, Answers]:
    """The frequency-matched batch of an instance, with its tokens and prefix rows (each sequence repeated)."""
    tokens, rows, times = instance.sequences()
    tokens, rows = np.repeat(tokens, times, axis=0), np.repeat(rows, times, axis=0)

    def pick(table: Table) -> torch.Tensor:
        return torch.from_numpy(table[rows, tokens].copy())

    def whole(table: Table) -> torch.Tensor:
        return torch.from_numpy(table[rows].copy())

    policy = pick(instance.log_policy())
    tables = Tables(
        whole(instance.log_policy()),
        whole(instance.log_reference()),
        whole(instance.log_sampler()),
        torch.from_numpy(tokens.copy()),
    )
    batch = Batch(
        policy,
        pick(instance.log_reference()),
        pick(instance.log_sampler()),
        torch.ones_like(policy),
        torch.zeros(policy.shape[0], dtype=torch.float64),
        tables=tables,
    )
    return batch, tokens, rows


def score_sum(instance: Instance, rows: Answers, tokens: Answers, weight: Weights) -> Table:
    """sum over n, t of weight[n, t] * grad log pi(token | prefix), at the policy's logits."""
    policy = np.exp(instance.log_policy())
    at = np.zeros_like(policy)
    np.add.at(at, (rows, tokens), weight)
    out: Table = at - at.sum(-1, keepdims=True) * policy
    return out


def of_subject(
    subject: Subject, placement: Placement, instance: Instance, returns: bool = False
) -> tuple[Table, Signal]:
    """The expected gradient of the subject's KL part, tokens drawn from the sampler (an average over sequences for a
    penalty; for a loss, as it averages itself). ``returns`` gives each token the sum of the penalties from it on."""
    batch, tokens, rows = as_batch(instance)
    if subject.wide and placement != "reward":
        return _at_logits(subject, batch, rows, instance)
    signal = kl_part(subject, placement, batch)
    weight: Numbers = signal.coefficient.numpy()
    if returns:
        weight = np.flip(np.cumsum(np.flip(weight, 1), 1), 1)
    if subject.kind == "penalty":
        weight = weight / batch.shape[0]
    return score_sum(instance, rows, tokens, weight), signal


def _at_logits(subject: Subject, batch: Batch, rows: Answers, instance: Instance) -> tuple[Table, Signal]:
    """The gradient at the logits themselves, added up over the positions that share a prefix."""
    logits = subject.logits(batch)
    gradient = kl_part_on_logits(subject, batch, logits)[:, : batch.shape[1]]
    out = np.zeros_like(instance.log_policy())
    np.add.at(out, rows, gradient.numpy())
    if subject.kind == "penalty":
        out = out / batch.shape[0]
    return out, Signal(gradient.norm(dim=-1), logits, True)


@cache
def coefficient(objective: str) -> Callable[[Numbers], Numbers]:
    """c(L) of an objective by name, generated from the proof of its gradient (proofs.divergences)."""
    from proofs.divergences import OBJECTIVES
    from proofs.lowering import compile_numpy
    from proofs.symbols import L

    found = OBJECTIVES[objective]
    return compile_numpy(found.coefficient, [L])


LEVELS = (("token", "sampler"), ("token", "policy"), ("sequence", None))
"""The levels an objective can have, with whose prefixes: token level off-policy means the sampler's."""


def of_objective(name: str, level: str, prefixes: str | None, instance: Instance) -> Table:
    """The exact gradient of an objective.

    Token level: sum over prefixes h of d(h) grad D(pi(.|h), ref(.|h)), d frozen, h drawn by the sampler or the policy.
    Sequence level: grad D(pi, ref) with the whole sequence as one action.
    """
    tokens, rows, _ = instance.sequences()
    log_pi, log_ref, log_mu = (
        t[rows, tokens] for t in (instance.log_policy(), instance.log_reference(), instance.log_sampler())
    )
    ratio = log_pi - log_ref
    if level == "sequence":
        c = np.broadcast_to(coefficient(name)(ratio.sum(1, keepdims=True)), ratio.shape)
        weight = np.exp(log_pi.sum(1, keepdims=True)) * c
    else:
        reach = log_mu if prefixes == "sampler" else log_pi
        before = np.cumsum(reach, 1) - reach
        # a sequence that shares its first tokens with V^(T-1-t) others counts each prefix that many times
        shared = instance.vocabulary ** (instance.horizon - 1 - np.arange(instance.horizon))
        weight = np.exp(before + log_pi) * coefficient(name)(ratio) / shared
    return score_sum(instance, rows, tokens, weight)


def reverse_kl_of(instance: Instance) -> tuple[float, float]:
    """KL(policy||reference) of whole answers in nats, and the variance of the answers' log-ratios (k1's) under the
    policy."""
    tokens, rows, _ = instance.sequences()
    log_pi, log_ref = (t[rows, tokens].sum(1) for t in (instance.log_policy(), instance.log_reference()))
    ratio, weight = log_pi - log_ref, np.exp(log_pi)
    mean = float(weight @ ratio)
    return mean, float(weight @ (ratio - mean) ** 2)
