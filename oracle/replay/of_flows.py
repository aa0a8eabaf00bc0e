"""Witnesses of gradients that flow where they should not, or not where they should, and of state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from oracle.case import Case
from oracle.probing.expectation import of_objective
from oracle.probing.signal import kl_part
from oracle.records import Finding
from oracle.replay.smallest import batches, tables
from oracle.replay.witness import Look, Witness, call_of, hexed
from oracle.subject.batch import Batch
from oracle.subject.binding import parameters_of
from oracle.subject.roles import Role


def reference(case: Case, finding: Finding) -> Iterator[Witness]:
    """Another reference must change the gradient of some token."""
    for batch in batches():
        other = replace(batch, reference=(batch.reference.exp() / 2).log())
        yield Witness(rule="varies", calls=[call_of(batch), call_of(other)], slack=1e-9, size=1e-30)


def policy(case: Case, finding: Finding) -> Iterator[Witness]:
    """Some gradient must reach the policy."""
    yield from (Witness(rule="nonzero", calls=[call_of(batch)]) for batch in batches())


def sign(case: Case, finding: Finding) -> Iterator[Witness]:
    """The expected gradient must have a positive product with that of the divergence it names."""
    record = case.on_policy
    named = record is not None and record.scale is not None
    name = record.objective if record is not None and named else "reverse_kl"
    level = (record.level if record is not None and named else None) or "token"
    for tabular in tables(on=True):
        expected = of_objective(name, level, "sampler", tabular.instance())
        yield Witness(rule="direction", tabular=tabular, expected=hexed(expected))


def exchanged(case: Case, finding: Finding) -> Iterator[Witness]:
    """Where two arguments stand in each other's place no gradient reaches the policy, or it ascends, or off-policy it
    is not that of what is meant."""
    record = case.on_policy
    if record is not None and record.objective == "zero":
        yield from policy(case, finding)
    elif record is not None and record.scale is not None and record.scale < 0:
        yield from sign(case, finding)
    else:
        meant = (finding.counterexample or {}).get("exchanged")
        for tabular in tables(on=False):
            if isinstance(meant, str) and tabular.horizon == 1:  # where token and sequence level are one
                expected = of_objective(meant, "token", "sampler", tabular.instance())
                slack = max(1e-6, 10 * case.tolerance)
                yield Witness(rule="proportional", tabular=tabular, expected=hexed(expected), slack=slack)


def sampler(case: Case, finding: Finding) -> Iterator[Witness]:
    """Gradient must reach the policy; without a sampler it is what it is at policy = sampler."""
    rewarded = [replace(b, advantages=torch.ones_like(b.advantages)) for b in batches()]
    name = case.subject.binding.roles.get(Role.SAMPLER)
    stated = parameters_of(case.subject.target.function).get(name or "")
    left: dict[str, int | float | None] = {} if name is None or stated is None or stated.default else {name: None}
    for batch in rewarded:
        yield Witness(rule="nonzero", calls=[call_of(batch)], part="whole")
    parts: tuple[Literal["whole", "kl"], ...] = ("whole", "kl") if left else ()
    for part in parts:
        for batch in rewarded:
            home = replace(batch, sampler=batch.policy)
            calls = [call_of(home), call_of(home, fixed=left)]
            slack = max(1e-9, case.tolerance)
            yield Witness(rule="same", calls=calls, part=part, slack=slack, size=1e-30)


def reward(case: Case, finding: Finding) -> Iterator[Witness]:
    """The KL part of the gradient is that of the same code with each factor that holds the advantages detached."""
    for batch in batches():
        rewarded = replace(batch, advantages=torch.ones_like(batch.advantages))
        expected = detached(case, rewarded)
        slack = max(1e-7, 10 * case.tolerance)
        yield Witness(rule="equal", calls=[call_of(rewarded)], expected=expected, slack=slack, size=1e-3)


def detached(case: Case, batch: Batch) -> list[list[str]]:
    """The coefficients of the KL part where no reward coefficient carries gradient."""
    live = replace(batch, advantages=batch.advantages.clone().requires_grad_())
    with _Detaching(live.advantages):
        return hexed(kl_part(case.subject, case.placement, live).coefficient.detach())


_PRODUCTS = {
    getattr(owner, name)
    for owner, names in (
        (torch, ("mul", "multiply")),
        (Tensor, ("mul", "mul_", "multiply", "multiply_", "__mul__", "__rmul__", "__imul__")),
    )
    for name in names
}


class _Detaching(TorchFunctionMode):
    """In each product of a factor that depends on ``source`` and one that does not, the first is a number."""

    def __init__(self, source: Tensor) -> None:
        super().__init__()
        self.source = source

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _PRODUCTS and len(args) == 2 and all(isinstance(a, Tensor) for a in args):
            held = [self._leads(a) for a in args]
            if held[0] != held[1] and args[held.index(False)].requires_grad:
                args = tuple(a.detach() if h else a for a, h in zip(args, held, strict=True))
        return func(*args, **(kwargs or {}))

    def _leads(self, tensor: Tensor) -> bool:
        """Whether the graph of a tensor goes back to the source."""
        if tensor is self.source:
            return True
        todo, seen = [tensor.grad_fn], set()
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if getattr(node, "variable", None) is self.source:
                return True
            todo += [n for n, _ in node.next_functions]
        return False


def state(case: Case, finding: Finding) -> Iterator[Witness]:
    """Inputs are as they were after a call; where the generators start does not matter.

    What is left, a memory from call to call, has no case that comes again bit for bit.
    """
    for name in (finding.counterexample or {}).get("overwritten", ()):
        for batch in batches():
            calls = [call_of(replace(batch, advantages=torch.ones_like(batch.advantages)))]
            yield Witness(rule="same", calls=calls, look="argument", argument=name, slack=0.0)
    looks: tuple[Look, ...] = ("token", "value")
    for batch in batches():
        calls = [call_of(batch, seed=s) for s in (1, 2)]
        for look in looks:
            yield Witness(rule="same", calls=calls, look=look, part="whole", slack=0.0)
