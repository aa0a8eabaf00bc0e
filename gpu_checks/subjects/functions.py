"""A PyTorch function as a subject: the KL term of a library, at the full vocabulary, on the CPU.

`oracle` finds how the function is called. A function of log-probabilities is given those of the rows' tokens, float32,
and its gradient is carried on to the logits in float64; a function of logits gets whole rows in the storage format, one
of distributions in float32. PyTorch's sums are taken as one accumulator for every 16 columns. A function that calls
Triton kernels is opened and run in the worker where Triton interprets (`interpreted`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_checks.bounds.cost import CostModel
from gpu_checks.formats import FORMATS, Array
from gpu_checks.subject import Opener, Request, Result, Runner, SampledBatch, Subject, Unavailable, WholeBatch
from oracle.errors import SubjectError
from oracle.subject.batch import Batch
from oracle.subject.binding import bind
from oracle.subject.roles import WEIGHTS, Role
from oracle.subject.subject import Subject as TorchSubject
from oracle.subject.subject import open_subject
from oracle.subject.target import Target, resolve
from oracle.subject.vocabulary import Tables

_TORCH = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_OF_ROWS = CostModel(chain=lambda vocabulary: ceil(vocabulary / 16) + 16, k3="naive", input_roundings=4)

_OF_TRITON = CostModel(
    chain=lambda vocabulary: ceil(vocabulary / 16) + 16,
    rescalings=lambda vocabulary: ceil(vocabulary / 256),
    exp_by_exp2=True,
    k3="naive",
    stored_first=1.0,
)
"""Of a kernel that nothing is known of: blocks of 256 columns or more, an online softmax, exp as Triton compiles it."""
_OF_TOKENS = CostModel(chain=lambda _vocabulary: 1, k3="naive", input_roundings=1)
"""The softmax is the audit's own there, in float64; the log-probability is rounded once."""


def subjects_of(
    target: str, claim: str, roles: Sequence[str] = (), settings: Sequence[str] = (), interpreted: bool = False
) -> list[Subject]:
    """Return the subjects of a target text; raises OracleError as `identify` does.

    `interpreted`: the function calls Triton kernels, and is opened and run where Triton interprets them.
    """
    if interpreted:
        return [_interpreted(target, claim, tuple(roles), tuple(settings))]
    return [_subject(found, claim, roles, settings) for found in resolve(target)]


@dataclass(frozen=True)
class Opened:
    """A function with the way it is called; `about` is what a subject's record says of it."""

    subject: TorchSubject
    reward: bool

    @property
    def wide(self) -> bool:
        """Whether whole rows are given."""
        return self.subject.wide

    @property
    def exact(self) -> bool:
        """Whether a row's numbers reach the function as they stand in the batch, in any storage format."""
        roles = set(self.subject.binding.roles)
        spread = roles & {r for r in Role if r.endswith(("distribution", "probabilities"))}
        scored_logits = not self.subject.whole and roles & {Role.REFERENCE_LOGITS, Role.SAMPLER_LOGITS}
        return self.wide and not spread and not scored_logits

    def about(self) -> dict[str, Any]:
        """Return family, wide and exact."""
        return {"family": "whole" if self.subject.whole else "sampled", "wide": self.wide, "exact": self.exact}

    def run(self, batch: Any, dtype: str) -> Result:
        """Run one batch in a storage format."""
        return _Function(self, dtype)(batch)


def open_function(target: Target, roles: Sequence[str], settings: Sequence[str], reward: bool) -> Opened:
    """Find how a function is called; raises OracleError, also for one that takes hidden states."""
    opened = open_subject(target, bind(target.function, roles, settings))
    if any(role in opened.binding.roles for pair in WEIGHTS.items() for role in pair):
        raise SubjectError(
            f"{target.name} takes hidden states: at the full vocabulary an audit gives logits; "
            "audit the part that takes logits or log-probabilities"
        )
    return Opened(opened, reward)


def _subject(target: Target, claim: str, roles: Sequence[str], settings: Sequence[str]) -> Subject:
    opened = open_function(target, roles, settings, in_reward(claim))

    def opener(request: Request) -> Runner:
        return _Function(opened, request.dtype)

    return _record(target.name, claim, opened.about(), {"torch": opener}, _files(target))


def _interpreted(target: str, claim: str, roles: tuple[str, ...], settings: tuple[str, ...]) -> Subject:
    from gpu_checks.backends.triton_interpreter import triton_interpreter

    given = {"target": target, "roles": roles, "set": settings, "reward": in_reward(claim)}
    opener = triton_interpreter("gpu_checks.subjects.interpreted:FUNCTION", "torch", "pip install torch", **given)
    try:
        runner = opener(Request("float32", 64))
        try:
            about = runner("about")
        finally:
            runner.close()
    except (Unavailable, RuntimeError, ValueError) as error:
        raise SubjectError(f"{target} cannot be opened in Triton's interpreter: {error}") from error
    files = tuple(about.pop("files"))
    return _record(target, claim, about, {"triton-interpreter": opener}, files)


def _record(
    name: str, claim: str, about: Mapping[str, Any], backends: Mapping[str, Opener], files: tuple[str, ...]
) -> Subject:
    interpreted = "triton-interpreter" in backends
    cost = replace(_OF_TRITON if interpreted else _OF_ROWS, input_roundings=0 if about["exact"] else 4)
    return Subject(
        name=name,
        title="function with Triton kernels, interpreted" if interpreted else "PyTorch function, on the CPU",
        family=about["family"],
        claim=claim,
        cost=cost if about["wide"] else _OF_TOKENS,
        backends=backends,
        sources=files,
        masks=False,
        dtypes=tuple(_TORCH) if about["exact"] or not about["wide"] else ("float32",),
    )


def in_reward(claim: str) -> bool:
    """Whether the claim is about a penalty in reward: then its value is the coefficient."""
    return "in reward" in " ".join(claim.split())


def files_of(function: Any) -> tuple[str, ...]:
    """Return the file that a function stands in; () where it has none, and then nothing of it is kept between runs."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        file = None
    return () if file is None else (str(Path(file).resolve()),)


def _files(target: Target) -> tuple[str, ...]:
    return files_of(target.function)


@dataclass(frozen=True)
class _Function:
    opened: Opened
    dtype: str

    @property
    def subject(self) -> TorchSubject:
        return self.opened.subject

    def __call__(self, batch: Any) -> Result:
        if isinstance(batch, WholeBatch):
            return self._whole(batch)
        if self.subject.wide:
            return self._wide(batch)
        return self._narrow(batch)

    def close(self) -> None:
        """Nothing was started."""

    def _narrow(self, batch: SampledBatch) -> Result:
        log_p = torch.from_numpy(batch.logits.astype(np.float64)).log_softmax(-1)
        tokens = torch.from_numpy(batch.tokens)
        own = log_p.gather(-1, tokens[:, None])
        dtype = torch.float32
        subject = self.subject.at_precision(dtype)
        leaf = own.to(dtype).requires_grad_()
        values, slope = self._slopes(subject, _batch(batch, own, None).to(dtype), leaf, batch.upstream)
        score = torch.nn.functional.one_hot(tokens, log_p.shape[-1]) - log_p.exp()
        gradient = FORMATS[self.dtype].store((slope.double() * score).numpy())
        return Result(values.detach().float().numpy(), gradient)

    def _slopes(self, subject: TorchSubject, batch: Batch, leaf: Tensor, upstream: Array) -> tuple[Tensor, Tensor]:
        """Value [row] and upstream times its derivative [row, 1]; a loss is asked row by row."""
        weight = torch.from_numpy(upstream.astype(np.float64)).to(leaf.dtype)
        if subject.kind == "penalty":
            value = subject.result(batch, leaf)
            if self.opened.reward:
                return value[:, 0], weight[:, None] * value.detach()
            slope = subject.derivative((value[:, 0] * weight).sum(), leaf) if value.requires_grad else None
            return value[:, 0], torch.zeros_like(leaf) if slope is None else slope
        values, slopes = [], []
        for row in range(batch.shape[0]):
            own = leaf[row : row + 1].detach().requires_grad_()
            one = _row(batch, row)
            with_beta, without = subject.result(one, own), subject.result(one.with_beta(0.0), own)
            part = (with_beta - without).sum()
            slope = subject.derivative(part, own) if part.requires_grad else None
            values.append(part.detach())
            slopes.append(weight[row] * (torch.zeros_like(own) if slope is None else slope))
        return torch.stack(values), torch.cat(slopes)

    def _wide(self, batch: SampledBatch) -> Result:
        """Rows whose reference and sampler give the token what the batch says, and the others what the policy does."""
        log_p = torch.from_numpy(batch.logits.astype(np.float64)).log_softmax(-1)
        tokens = torch.from_numpy(batch.tokens)[:, None]
        own = log_p.gather(-1, tokens)
        rows = []
        for other in (batch.reference, batch.sampler if batch.sampler is not None else own[:, 0].numpy()):
            at = torch.from_numpy(np.asarray(other, np.float64))[:, None]
            rest = log_p + torch.log(-torch.expm1(at)) - torch.log(-torch.expm1(own))
            rows.append(rest.scatter(-1, tokens, at))
        tables = Tables(log_p[:, None], rows[0][:, None], rows[1][:, None], tokens)
        return self._on_logits(_batch(batch, own, tables), batch.logits, batch.upstream)

    def _whole(self, batch: WholeBatch) -> Result:
        log_p, log_q = (torch.from_numpy(x.astype(np.float64))[:, None] for x in (batch.policy, batch.reference))
        if not self.opened.exact:  # what is not logits has to be normalised
            log_p, log_q = log_p.log_softmax(-1), log_q.log_softmax(-1)
        tokens = torch.zeros(log_p.shape[0], 1, dtype=torch.int64)
        own, other = log_p[..., 0], log_q[..., 0]
        tables = Tables(log_p, log_q, log_p, tokens)
        n = own.shape[0]
        whole = Batch(own, other, own, torch.ones_like(own), torch.zeros(n, dtype=own.dtype), 1.0, tables)
        return self._on_logits(whole, batch.policy, batch.upstream)

    def _on_logits(self, batch: Batch, rows: Array, upstream: Array) -> Result:
        """Row by row: what one row takes of the whole vocabulary is memory enough."""
        values, gradients = [], []
        subject = self.subject.at_precision(torch.float32)
        storage = _TORCH[self.dtype]
        convention = replace(subject.convention, exact=self.opened.exact, wide=storage)
        subject = replace(subject, convention=convention)
        for row in range(batch.shape[0]):
            one = _row(batch, row)
            assert one.tables is not None
            logits = subject.logits(one).detach().to(storage)
            given = torch.from_numpy(rows[row].astype(np.float32)) if self.opened.exact else one.tables.policy[0]
            logits[:, :1] = given.to(storage)  # as they are, also where a probability underflows
            logits.requires_grad_()
            answer = subject.result_on(one, logits).sum()
            if subject.kind == "loss" and Role.BETA in subject.binding.roles:
                answer = answer - subject.result_on(one.with_beta(0.0), logits).sum()
            scalar = answer
            if self.opened.reward:
                token = int(one.tables.tokens)
                scalar = answer.detach() * logits[0, 0].float().log_softmax(-1)[token]
            slope = subject.derivative(float(upstream[row]) * scalar, logits) if scalar.requires_grad else None
            values.append(float(answer.detach()))
            gradient = torch.zeros_like(logits) if slope is None else slope
            gradients.append(FORMATS[self.dtype].store(gradient[0, 0].double().numpy()))
        return Result(np.array(values, np.float32), np.stack(gradients))


def _batch(batch: SampledBatch, own: Tensor, tables: Tables | None) -> Batch:
    n = own.shape[0]
    reference = torch.from_numpy(batch.reference.astype(np.float64))[:, None]
    sampler = own if batch.sampler is None else torch.from_numpy(batch.sampler.astype(np.float64))[:, None]
    return Batch(own, reference, sampler, torch.ones_like(own), torch.zeros(n, dtype=own.dtype), 1.0, tables)


def _row(batch: Batch, row: int) -> Batch:
    at = slice(row, row + 1)
    tables = batch.tables
    if tables is not None:
        tables = Tables(tables.policy[at], tables.reference[at], tables.sampler[at], tables.tokens[at])
    return Batch(
        batch.policy[at],
        batch.reference[at],
        batch.sampler[at],
        batch.mask[at],
        batch.advantages[at],
        batch.beta,
        tables,
    )
