"""The fixed parts of the script that ``snippet`` writes: how a file is loaded, how gradients are taken, the rules."""

from __future__ import annotations

HEAD = '''"""{what}

{message}

kl-oracle case {id}. Run it where the file is; it needs torch alone. Status 1: the failure is there, 0: it is not.
"""

import dataclasses
import importlib.util
import random
import sys
from collections.abc import Mapping
from math import inf, log, nan  # noqa: F401
from pathlib import Path

import torch


def load(path):
    if not Path(path).is_file():
        sys.exit(f"there is no {{path}} here; run this script where it is")
    spec = importlib.util.spec_from_file_location("subject", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))
    sys.modules["subject"] = module
    spec.loader.exec_module(module)
    return module


{load}
'''

BODY = '''

def tensor_of(answer):
    """The loss or the penalty in what the function answers."""
    if isinstance(answer, (int, float)):
        return torch.tensor(float(answer), dtype=torch.float64)
    if dataclasses.is_dataclass(answer):
        answer = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    if isinstance(answer, Mapping):
        first = ("loss", "kl_loss", "kl", "kl_penalty", "penalty", "rewards", "token_level_rewards")
        answer = [answer[k] for k in first if k in answer] + list(answer.values())
    candidates = answer if isinstance(answer, (tuple, list)) else [answer]
    return next(x for x in candidates if isinstance(x, torch.Tensor) and x.is_floating_point())


def scored(answer, b, t):
    """One value a token that is scored, [b, t]; where the function takes logits it may answer more."""
    if LAYOUT is None or KIND == "loss":
        return answer
    for width in {"aligned": (t,)}.get(LAYOUT, (t, t + 1)):
        shape = (b * width,) if FLAT else (b, width)
        if tuple(answer.shape[: len(shape)]) == shape and answer.dim() <= len(shape) + 1:
            full = answer.sum(-1) if answer.dim() > len(shape) and answer.shape[-1] != 1 else answer
            full = full.reshape(b, width)
            return full if width == t else full[:, 1:] if LAYOUT == "shifted" else full[:, :-1]
    raise ValueError(f"a result of shape {tuple(answer.shape)} for {b} sequences of {t} tokens")


def answer_of(call, x):
    """What the function answers where the policy, or its logits, are x."""
    given = {n: v.clone() if isinstance(v, torch.Tensor) else v for n, v in call["given"].items()}
    given.update(live(x, call))
    first = [given.pop(n) for n in POSITIONAL if n in given]
    return scored(tensor_of(function(*first, **given)), *call["policy"].shape)


def once(call):
    """What multiplies the score of each token: the gradient at its log-probability, or the value of a reward.

    Where logits are given or looked at, the gradient at them.
    """
    at_logits = "logits" in call
    leaf = call["logits" if at_logits else "policy"].clone().requires_grad_()
    x = leaf.to(DTYPE).clone()
    answer = answer_of(call, x if at_logits or LAYOUT is None else rows(x, call))
    if LOOK == "value":
        flat = answer.detach().double()
        return flat.reshape(flat.shape[0], -1) if flat.dim() > 1 else flat.reshape(1, -1)
    if REWARD:
        return SIGN * answer.detach().double()
    if not answer.requires_grad:
        return torch.zeros_like(leaf).double()
    (gradient,) = torch.autograd.grad(answer.sum() if KIND == "penalty" else answer.mean(), leaf, allow_unused=True)
    return torch.zeros_like(leaf).double() if gradient is None else gradient.double()


def coefficient(call):
    """The KL part: what its coefficient scales."""
    torch.manual_seed(call["seed"])
    random.seed(call["seed"])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(call["seed"])
    found = once(call)
    if BETA and PART == "kl" and LOOK != "value":
        found = found - once({**call, "given": {**call["given"], BETA: 0.0}})
    return found.flatten(0, 1) if LOOK == "logits" else found


def around(call):
    """An argument as it was given, and as the call left it."""
    kept = call["given"][ARGUMENT].clone()
    call["given"][ARGUMENT] = left = kept.clone()
    torch.manual_seed(call["seed"])
    random.seed(call["seed"])
    given = {n: left if n == ARGUMENT else v for n, v in call["given"].items()}
    given.update(live(call["policy"].to(DTYPE).requires_grad_().clone(), call))
    function(*[given.pop(n) for n in POSITIONAL if n in given], **given)
    return [x.double().reshape(x.shape[0], -1) for x in (kept, left)]


def expected_gradient(call):
    """The gradient at the policy's logits; the batch holds each answer as often as the sampler draws it."""
    found = coefficient(call)
    if found.dim() == 3:  # at the logits already: positions that share a prefix are added up
        there = torch.tensor(ROWS)
        return torch.zeros_like(LOGITS).index_put((there,), found[:, : there.shape[1]], accumulate=True) / DIVISOR
    if RETURNS:
        found = found.flip(1).cumsum(1).flip(1)
    logits = LOGITS.clone().requires_grad_()
    score = torch.log_softmax(logits, -1)[torch.tensor(ROWS), torch.tensor(TOKENS)]
    return torch.autograd.grad((found * score).sum() / DIVISOR, logits)[0]


def weighed(shown):
    """The nearest of token-mean, seq-mean-token-mean, seq-mean-token-sum, a constant and a sum; all calls in a row."""
    masks = [torch.tensor(m).double() for m in MASKS]
    actual = torch.cat([(s * m).flatten() for s, m in zip(shown, masks)])[None]
    kinds = (
        lambda m: m / m.sum(),
        lambda m: m / m.sum(1, keepdim=True) / len(m),
        lambda m: m / len(m),
        lambda m: m / m.numel(),
        lambda m: m,
    )
    models = [torch.cat([kind(m).flatten() for m in masks])[None] for kind in kinds]
    fits = [(actual * m).sum() / (m * m).sum() * m for m in models]
    return min(fits, key=lambda m: float((actual - m).abs().max())), actual


if LOOK == "argument":
    seen = around(CALLS[0])
else:
    seen = [coefficient(call) if LOGITS is None else expected_gradient(call) for call in CALLS]
expected = EXPECTED
if JOINED:
    seen = [seen[0], torch.cat(seen[1:])]
if RULE == "weighed":
    expected, seen = weighed(seen)[0], [weighed(seen)[1]]
if RULE == "along":
    expected = expected * ((seen[-1] * expected).sum(1) / (expected * expected).sum(1))[:, None]
if ORDER is not None:
    seen[0] = seen[0][ORDER]
places = [None if w is None else torch.tensor(w, dtype=torch.bool) for w in WHERE]
if any(w is not None for w in places):
    seen = [s if w is None else s[: w.shape[0], : w.shape[1]][w][None] for s, w in zip(seen, places)]
    expected = expected if expected is None or places[-1] is None else expected[places[-1]][None]
if RULE in ("same", "varies", "rises"):
    expected = FACTOR * seen[0]
actual = seen[-1]
size = SIZE if expected is None else float(expected.abs().max()) or SIZE
if RULE == "finite":
    holds = bool(actual.isfinite().all())
elif RULE == "nonzero":
    holds = bool((actual != 0).any())
elif not bool(actual.isfinite().all()):
    holds = False
elif RULE == "varies":
    holds = float((actual - expected).abs().max()) > SLACK * size
elif RULE == "rises":
    holds = bool((actual - expected >= -SLACK * size).all())
elif RULE == "direction":
    holds = float((actual * expected).sum()) > 0
elif RULE == "proportional":
    scale = float((actual * expected).sum() / (expected * expected).sum())
    holds = scale > 0 and float((actual - scale * expected).abs().max()) <= SLACK * scale * size
else:
    holds = float((actual - expected).abs().max()) <= SLACK * size
words = {"varies": "anything but ", "proportional": "a positive multiple of ", "direction": "along "}
words["rises"] = "at least "
plain = {"finite": "a finite number", "nonzero": "not 0"}.get(RULE)
print("expected", plain or words.get(RULE, "") + str(expected.tolist()))
print("actual  ", actual.tolist())
print("holds" if holds else "fails")
sys.exit(0 if holds else 1)
'''
