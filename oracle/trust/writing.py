"""Ways of writing: everything here may change the text of a program and must not change its gradient."""

from __future__ import annotations

import random
from collections.abc import Callable

from oracle.trust.estimators import Term

_NAMES = {
    "policy": (
        "logp", "per_token_logps", "log_probs", "policy_logprobs", "new_logprobs", "curr_logps", "actor_logp",
        "logprob", "logProbs", "token_log_probs", "current_log_probs", "pi_logps",
    ),
    "reference": (
        "ref_logp", "ref_per_token_logps", "log_probs_base", "reference_logprobs", "base_logprobs", "anchor_logps",
        "frozen_logp", "ref_logprob", "refLogProbs", "sft_log_probs", "init_logp", "prior_logps",
    ),
    "sampler": (
        "old_logp", "old_per_token_logps", "rollout_log_probs", "behavior_logprobs", "sampling_logprobs", "prev_logps",
        "behaviour_logp", "old_log_prob", "vllm_logps", "inference_logprobs", "mu_logp", "generator_log_probs",
    ),
    "advantages": ("advantages", "adv", "advs", "advantage"),
    "mask": ("mask", "completion_mask", "action_mask", "response_mask", "loss_mask", "token_mask", "eos_mask"),
    "beta": ("beta", "kl_coef", "kl_beta", "kl_weight", "kl_loss_coef", "kl_coeff", "lambda_kl", "kl_ctl"),
}  # fmt: skip

_TOKEN_MEANS = (
    "({x} * {m}).sum() / {m}.sum()",
    "{x}[{m}.bool()].mean()",
    "torch.masked_select({x}, {m} != 0).mean()",
    "torch.einsum('bt,bt->', {x}, {m}) / {m}.sum()",
    "({x} * {m}).sum() / {m}.sum().clamp(min=1)",
    "torch.where({m}.bool(), {x}, 0.0).sum() / {m}.count_nonzero()",
    "torch.dot({x}.flatten(), {m}.flatten()) / {m}.sum()",
    "{x}.masked_fill({m} == 0, 0.0).sum() / {m}.sum()",
    "torch.tensordot({x}, {m}, dims=2) / {m}.sum()",
    "({x}.reshape(1, -1) @ {m}.reshape(-1, 1)).squeeze() / {m}.sum()",
    "sum((a * b).sum() for a, b in zip({x}, {m})) / {m}.sum()",
    "torch.stack([(a * b).sum() for a, b in zip({x}.chunk(2), {m}.chunk(2))]).sum() / {m}.sum()",
    "torch.stack([({x}[:, t] * {m}[:, t]).sum() for t in range({x}.shape[1])]).sum() / {m}.sum()",
    "torch.mean({x}[{m} > 0])",
    "(({x} * {m}) / {m}.sum()).sum()",
    "({x} * ({m} / {m}.sum())).sum()",
    "torch.sum({x} * {m}, dim=(0, 1)).div({m}.sum())",
    "torch.trace({x} @ {m}.T) / {m}.sum()",
    "{x}.flatten()[{m}.flatten().nonzero().squeeze(-1)].mean()",
    "torch.index_select({x}.flatten(), 0, torch.nonzero({m}.flatten()).flatten()).mean()",
)
_SEQUENCE_MEANS = (
    "(({x} * {m}).sum(-1) / {m}.sum(-1)).mean()",
    "(({x} * {m}).sum(dim=1) / {m}.sum(dim=1).clamp(min=1.0)).mean()",
    "torch.stack([a[b.bool()].mean() for a, b in zip({x}, {m})]).mean()",
    "sum((a * b).sum() / b.sum() for a, b in zip({x}, {m})) / {x}.shape[0]",
    "torch.einsum('bt,bt->b', {x}, {m}).div({m}.sum(1)).mean()",
    "torch.vmap(lambda a, b: torch.dot(a, b) / b.sum())({x}, {m}).mean()",
    "({x} * {m} / {m}.sum(-1, keepdim=True)).sum() / len({x})",
    "torch.bmm({x}.unsqueeze(1), {m}.unsqueeze(2)).flatten().div({m}.sum(1)).mean()",
    "torch.mean(torch.sum({x}.masked_fill(~{m}.bool(), 0.0), -1) / torch.sum({m}, -1))",
    "torch.cat([((a * b).sum(1) / b.sum(1)) for a, b in zip({x}.split(1), {m}.split(1))]).mean()",
    "(torch.cumsum({x} * {m}, dim=1)[:, -1] / torch.cumsum({m}, dim=1)[:, -1]).mean()",
)
_SEQUENCE_SUMS = (
    "({x} * {m}).sum(-1).mean()",
    "({x} * {m}).sum() / {x}.shape[0]",
    "torch.einsum('bt,bt->b', {x}, {m}).mean()",
    "torch.stack([torch.dot(a, b) for a, b in zip({x}, {m})]).mean()",
    "{x}.masked_fill({m} == 0, 0.0).sum(1).mean(0)",
    "torch.where({m} > 0, {x}, torch.zeros_like({x})).sum(dim=-1).mean()",
    "torch.mean(({x} * {m}) @ torch.ones({x}.shape[1], dtype={x}.dtype))",
    "torch.vmap(torch.dot)({x}, {m}).sum() / {x}.size(0)",
)
_SUMS = (
    "({x} * {m}).sum()",
    "torch.einsum('bt,bt->', {x}, {m})",
    "{x}[{m}.bool()].sum()",
    "sum((a * b).sum() for a, b in zip({x}.unbind(1), {m}.unbind(1)))",
    "torch.tensordot({x}, {m}, 2)",
)
_CONSTANTS = (
    "({x} * {m}).sum() / ({x}.shape[0] * {c})",
    "(({x} * {m}).sum(-1) / {c}).mean()",
    "({x} * {m}).sum(1).mean().div({c})",
)
_AGGREGATIONS = {
    "token-mean": _TOKEN_MEANS,
    "seq-mean-token-mean": _SEQUENCE_MEANS,
    "seq-mean-token-sum": _SEQUENCE_SUMS,
    "sum": _SUMS,
    "constant": _CONSTANTS,
}

_APPLIED = (
    "{f}({p}, {q})",
    "{f}({p}, {q})",
    "{f}({p}.flatten(), {q}.flatten()).view_as({p})",
    "{f}({p}.T, {q}.T).T",
    "torch.cat([{f}(a, b) for a, b in zip({p}.chunk(2), {q}.chunk(2))])",
    "torch.stack([{f}({p}[:, t], {q}[:, t]) for t in range({p}.shape[1])], dim=1)",
    "torch.stack([{f}(a, b) for a, b in zip({p}, {q})])",
    "torch.vmap({f})({p}, {q})",
    "checkpoint({f}, {p}, {q}, use_reentrant=False)",
    "functools.partial({f}, y={q})({p})",
    "(lambda x, y: {f}(x, y))({p}, {q})",
    "{f}(*torch.stack([{p}, {q}]).unbind(0))",
    "{f}(*torch.broadcast_tensors({p}, {q}))",
    "{f}({p}.flip(0), {q}.flip(0)).flip(0)",
    "torch.cat([{f}(a, b) for a, b in zip({p}.split(1, dim=1), {q}.split(1, dim=1))], dim=1)",
    "{f}({p}[:, None, :], {q}[:, None, :]).squeeze(1)",
)

_DETACHED = ("({d}).exp().detach()", "torch.exp(({d}).detach())", "no_grad", "torch.exp({d}).data")
_LIVE = ("({d}).exp()", "torch.exp({d})", "torch.expm1({d}) + 1", "(-({d})).neg().exp()")

_HEAD = """import functools
import math
from typing import NamedTuple

import torch
import torch.distributions as D
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint
"""


class Writer:
    """The text of one program, grown line by line; every choice comes from ``rng``."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.name = rng.choice(("loss_fn", "compute_loss", "kl_penalty", "policy_loss", "grpo_loss", "f"))
        self.of = {role: rng.choice(names) for role, names in _NAMES.items()}
        self.used: list[str] = ["policy", "reference"]
        self.helpers: list[str] = []
        self.lines: list[str] = []
        self.settings: list[str] = []
        self.traits: list[str] = []
        self.cast = rng.choice(("", "", "", "", ".float()", ".to(torch.float32)", ".double()"))
        self._count = 0

    def trait(self, *words: str) -> None:
        """Note what was drawn."""
        self.traits += words

    def role(self, role: str) -> str:
        """The parameter of a role, which the program then has."""
        if role not in self.used:
            self.used.append(role)
        return self.of[role]

    def let(self, value: str, name: str = "v") -> str:
        """A line that gives a value a fresh name."""
        self._count += 1
        fresh = f"{name}{self._count}"
        self.lines.append(f"{fresh} = {value}")
        return fresh

    def numbers(self, role: str) -> str:
        """A role's log-probabilities in the dtype that the program works in."""
        name = self.role(role)
        return f"{name}{self.cast}" if self.cast else name

    # --- estimators ---------------------------------------------------------------------------

    def estimator(self, term: Term, difference: str, in_place: bool = True) -> str:
        """Lines that compute a term of policy and reference; the name of what holds it."""
        p, q = self.numbers("policy"), self.numbers("reference")
        if self.cast:
            self.trait("cast" + self.cast)
            p, q = self.let(p, "p"), self.let(q, "q")
        ways = ["inline", "inline", "helper", "helper", "class"]
        ways += ["function"] if term.slope else []
        ways += ["in place"] if term.in_place and in_place else []
        way = self.rng.choice(ways)
        self.trait(way)
        if way == "in place":
            out = self.let(f"({difference.format(p=p, q=q)}).clone()", "out")
            self.lines += [s.replace("out", out) for s in term.in_place]
            return out
        if way == "inline":
            return self.let(self._expression(term, difference, p, q, self.lines), "kl")
        return self._helper(term, difference, p, q, way)

    def _expression(self, term: Term, difference: str, p: str, q: str, lines: list[str]) -> str:
        """The expression of a writing; the log-ratio is computed before where the writing wants it."""
        writing = self.rng.choice(term.writings)
        self.trait(writing)
        apart = difference.format(p=p, q=q)
        self._count += 1
        ratio = f"{self.rng.choice(('d', 'diff', 'log_ratio', 'delta'))}{self._count}"
        if "{d}" in writing:
            lines.append(f"{ratio} = {apart}")
        other = f"neg{self._count}"
        if "{n}" in writing:
            lines.append(f"{other} = -{ratio}" if "{d}" in writing else f"{other} = -({apart})")
        return writing.format(d=ratio, n=other, p=p, q=q)

    def _helper(self, term: Term, difference: str, p: str, q: str, way: str) -> str:
        helper = "_" + self.rng.choice(("estimate", "kl", "penalty", "divergence", "per_token"))
        body: list[str] = []
        if way == "function":
            return self._hand_written(term, difference, p, q)
        expression = self._expression(term, difference, "x", "y", body)
        if way == "class":
            text = f"class {helper.strip('_').title()}:\n    def __call__(self, x, y):\n"
            text += "".join(f"        {line}\n" for line in body) + f"        return {expression}\n"
            self.helpers.append(text)
            return self.let(f"{helper.strip('_').title()}()({p}, {q})", "kl")
        switch = self.rng.random() < 0.3
        text = f"def {helper}(x, y{', kind=None' if switch else ''}):\n"
        if switch:
            text += "    if kind == 'none':\n        return torch.zeros_like(x)\n"
        text += "".join(f"    {line}\n" for line in body) + f"    return {expression}\n"
        self.helpers.append(text)
        applied = self.rng.choice(_APPLIED)
        if "vmap" in applied and "gaussian_nll_loss" in expression:
            applied = _APPLIED[0]  # it asks whether a variance is negative, which vmap refuses
        self.trait(applied)
        return self.let(applied.format(f=helper, p=p, q=q), "kl")

    def _hand_written(self, term: Term, difference: str, p: str, q: str) -> str:
        body: list[str] = []
        value = self._expression(term, difference, "x", "y", body)
        slope = self.rng.choice(term.slope)
        self._count += 1
        name = f"_Estimator{self._count}"
        lines = [
            f"class {name}(torch.autograd.Function):",
            "    @staticmethod",
            "    def forward(ctx, x, y):",
            "        ctx.save_for_backward(x, y)",
            *[f"        {line}" for line in body],
            f"        return {value}",
            "",
            "    @staticmethod",
            "    def backward(ctx, g):",
            "        x, y = ctx.saved_tensors",
            "        d = x - y",
            "        n = -d",
            f"        return g * ({slope.format(d='d', n='n')}), None",
        ]
        self.helpers.append("\n".join(lines) + "\n")
        return self.let(f"{name}.apply({p}, {q})", "kl")

    # --- weights and scales --------------------------------------------------------------------

    def ratio(self, detached: bool) -> str:
        """policy over sampler, as a number or as something to differentiate."""
        p, o = self.numbers("policy"), self.numbers("sampler")
        if detached:
            way = self.rng.choice(
                ("({d}).exp().detach()", "torch.exp(({d}).detach())", "no_grad", "torch.exp({d}).data")
            )
        else:
            way = self.rng.choice(_LIVE)
        self.trait(way)
        apart = self.rng.choice(("{p} - {o}", "torch.sub({p}, {o})", "-({o} - {p})")).format(p=p, o=o)
        if way == "no_grad":
            self._count += 1
            self.lines += ["with torch.no_grad():", f"    w{self._count} = torch.exp({apart})"]
            return f"w{self._count}"
        return self.let(way.format(d=apart), "w")

    def weighted(self, value: str, correction: str) -> str:
        """The value under an importance weight of its own token."""
        if correction == "none":
            return value
        ratio = self.ratio(correction == "detached")
        return self.let(self.rng.choice(("{w} * {x}", "{x}.mul({w})", "{x} * {w}")).format(w=ratio, x=value), "kl")

    def scaled(self, value: str, scale: float) -> str:
        """The value times a number."""
        if scale == 1.0:
            return value
        self.trait(f"scale {scale:g}")
        if scale == -1.0:
            return self.let(f"-{value}")
        return self.let(self.rng.choice((f"{scale} * {value}", f"{value} * {scale}", f"{value} / {1 / scale!r}")))

    # --- endings -------------------------------------------------------------------------------

    def finish_penalty(self, value: str) -> None:
        """A penalty: one value a token."""
        if self.rng.random() < 0.3:
            mask = self.role("mask")
            value = self.rng.choice(("{x} * {m}", "torch.where({m} != 0, {x}, 0.0)", "{x}.masked_fill({m} == 0, 0)"))\
                .format(x=value, m=mask)  # fmt: skip
        self._return(value)

    def finish_loss(self, value: str) -> tuple[str, float]:
        """A loss that adds the value, times the coefficient, to a policy gradient; its aggregation and divisor."""
        beta = self.role("beta")
        style = self.rng.choice(("none", "reinforce", "surrogate", "clipped"))
        self.trait(f"pg {style}")
        if style == "none" or self.rng.random() < 0.4:
            aggregation, constant, apart = self._aggregate()
            kl = self.let(apart(value), "kl_loss")
            total = f"{beta} * {kl}"
            if style != "none":
                total = f"{self.let(apart(self._policy_gradient(style)), 'pg_loss')} + {total}"
        else:
            pg = self._policy_gradient(style)
            token = self.let(self.rng.choice(("{g} + {b} * {x}", "torch.add({g}, {b} * {x})", "{b} * {x} + {g}"))
                             .format(g=pg, b=beta, x=value), "loss")  # fmt: skip
            aggregation, constant, apart = self._aggregate()
            total = apart(token)
        self._return(total)
        return aggregation, constant

    def finish_surrogate(self, coefficient: str, weighted: bool) -> tuple[str, float]:
        """A loss whose advantages are lowered by the coefficient, detached; its aggregation and divisor."""
        beta, advantages = self.role("beta"), self._column()
        detach = self.rng.choice(("{a} - {b} * {c}.detach()", "({a} - {b} * {c}).detach()", "({a} - ({b} * {c})).data"))
        adv = self.let(detach.format(a=advantages, b=beta, c=coefficient), "adv")
        if weighted:
            ratio = self.ratio(False)
            ways = (
                "-({r} * {a})",
                "-torch.min({r} * {a}, torch.clamp({r}, 0.8, 1.2) * {a})",
                "torch.max(-{a} * {r}, -{a} * {r}.clamp(0.8, 1.28))",
                "{r}.mul({a}).neg()",
            )
            token = self.rng.choice(ways).format(r=ratio, a=adv)
        else:
            ways = ("-{a} * {p}", "-({a} * {p})", "{p} * -{a}", "-torch.exp({p} - {p}.detach()) * {a}")
            token = self.rng.choice(ways).format(p=self.numbers("policy"), a=adv)
        self.trait(token.replace(self.of["policy"], "{p}"))
        token = self.let(token, "loss")
        aggregation, constant, apart = self._aggregate()
        self._return(apart(token))
        return aggregation, constant

    def finish_sequence(self, term: Term, difference: str, correction: str, scale: float) -> str:
        """A loss on whole answers; its aggregation."""
        beta, mask = self.role("beta"), self.role("mask")
        sums = ("({x} * {m}).sum(-1)", "torch.einsum('bt,bt->b', {x}, {m})", "({x}).masked_fill({m} == 0, 0.0).sum(1)",
                "torch.stack([(a * b).sum() for a, b in zip({x}, {m})])")  # fmt: skip
        p, q = self.numbers("policy"), self.numbers("reference")
        total = self.let(self.rng.choice(sums).format(x=f"({difference.format(p=p, q=q)})", m=mask), "total")
        zero = self.let(f"torch.zeros_like({total})", "zero")
        # the answer's log-ratio against 0: the same writings as for a token's
        value = self.let(self._expression(term, "{p} - {q}", total, zero, self.lines), "kl")
        if correction != "none":
            o = self.numbers("sampler")
            moved = self.let(self.rng.choice(sums).format(x=f"({p} - {o})", m=mask), "moved")
            weight = f"{moved}.exp()" + (".detach()" if correction == "detached" else "")
            value = self.let(f"{weight} * {value}", "kl")
        value = self.scaled(value, scale)
        mean = self.rng.random() < 0.8
        self._return(f"{beta} * {value}.{'mean' if mean else 'sum'}()")
        return "seq-mean-token-sum" if mean else "sum"

    def finish_returns(self, difference: str, weight: str, scale: float) -> None:
        """A loss in which each token's score is multiplied by the log-ratios from it on."""
        beta, mask, advantages = self.role("beta"), self.role("mask"), self._column()
        p, q = self.numbers("policy"), self.numbers("reference")
        reward = self.scaled(self.let(f"({difference.format(p=p, q=q)}).detach() * {mask}", "reward"), -scale)
        ways = (
            "{r}.flip(1).cumsum(1).flip(1)",
            "{r}.sum(1, keepdim=True) - {r}.cumsum(1) + {r}",
            "torch.stack([{r}[:, t:].sum(1) for t in range({r}.shape[1])], dim=1)",
            "{r} @ torch.tril(torch.ones({r}.shape[1], {r}.shape[1], dtype={r}.dtype))",
        )
        way = self.rng.choice(ways)
        self.trait(way)
        returns = self.let(f"{beta} * ({way.format(r=reward)}) + {advantages}", "returns")
        if weight == "none":
            token = f"-{returns} * {p}"
        elif weight == "token":
            token = f"-{returns} * {self.ratio(False)}"
        else:
            o = self.numbers("sampler")
            whole = self.let(f"(({p} - {o}) * {mask}).sum(1, keepdim=True).exp().detach()", "whole")
            token = f"-{returns} * {whole} * {p}"
        token = self.let(token, "loss")
        self._return(self.rng.choice(_SEQUENCE_SUMS).format(x=token, m=self._mask(token)))

    # --- pieces --------------------------------------------------------------------------------

    def _column(self) -> str:
        advantages = self.role("advantages")
        return self.let(
            self.rng.choice(("{a}[:, None]", "{a}.unsqueeze(-1)", "{a}.view(-1, 1)")).format(a=advantages), "a"
        )

    def _policy_gradient(self, style: str) -> str:
        advantages = self._column()
        if style == "reinforce":
            return self.let(f"-{advantages} * {self.numbers('policy')}", "pg")
        ratio = self.ratio(False)
        if style == "surrogate":
            return self.let(f"-{ratio} * {advantages}", "pg")
        clipped = f"{ratio}.clamp(0.8, 1.2)"
        return self.let(f"-torch.min({ratio} * {advantages}, {clipped} * {advantages})", "pg")

    def _mask(self, value: str) -> str:
        """The mask in the dtype of a value (dot products want one)."""
        return f"{self.role('mask')}.to({value}.dtype)"

    def _aggregate(self) -> tuple[str, float, Callable[[str], str]]:
        name = self.rng.choice(list(_AGGREGATIONS))
        way = self.rng.choice(_AGGREGATIONS[name])
        self.trait(name, way)
        constant = 1.0
        divisor = ""
        if name == "constant":
            constant = self.rng.choice((8.0, 16.0, 64.0))
            divisor = self.rng.choice(("max_tokens", "norm", "max_completion_length", "generation_budget"))
            self.settings.append(f"{divisor}={int(constant)}")

        def apart(value: str) -> str:
            return way.format(x=value, m=self._mask(value), c=divisor)

        return name, constant, apart

    def _return(self, value: str) -> None:
        ways = ["{v}", "{v}", "{v}", "({v}, {{'kl': 0.0}})", "{{'loss': {v}, 'step': 1}}", "Output({v}, 0.5)"]
        way = self.rng.choice(ways)
        self.trait("returns " + way)
        if way.startswith("Output"):
            self.helpers.append("class Output(NamedTuple):\n    loss: torch.Tensor\n    metric: float\n")
        if self.rng.random() < 0.3:
            value = self.let(value, "result")
        self.lines.append("return " + way.format(v=value))

    def source(self) -> str:
        """The whole program."""
        plain = [self.of[r] for r in self.used if r != "beta"]
        beta = [self.of["beta"]] if "beta" in self.used else []
        style = self.rng.choice(("plain", "keyword", "default", "shuffled"))
        if style == "shuffled":
            self.rng.shuffle(plain)
        if beta and style == "default":
            beta = [f"{beta[0]}=0.04"]
        parts = [*plain, *(["*"] if style == "keyword" and (beta or self.settings) else []), *beta, *self.settings]
        body = "".join(f"    {line}\n" for line in self.lines)
        helpers = "".join(f"\n\n{h}" for h in self.helpers)
        return f"{_HEAD}{helpers}\n\ndef {self.name}({', '.join(parts)}):\n{body}"
