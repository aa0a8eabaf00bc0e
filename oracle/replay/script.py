"""The fixed parts of the script that ``snippet`` writes: how a file is loaded, how gradients are taken, the rules."""

from __future__ import annotations

HEAD = '''"""{what}

{message}

kl-oracle case {id}. Run it where the file is; it needs torch alone. Status 1: the failure is there, 0: it is not.
"""

import dataclasses
import importlib.util
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


def once(call):
    """What multiplies the score of each token: the gradient at its log-probability, or the value of a reward."""
    leaf = call[POLICY].double().clone().requires_grad_()
    given = {n: x.clone() if isinstance(x, torch.Tensor) else x for n, x in call.items()}
    answer = tensor_of(function(**{**given, POLICY: leaf.to(call[POLICY].dtype).clone()}))
    if REWARD:
        return SIGN * answer.detach().double()
    if not answer.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(answer.sum() if KIND == "penalty" else answer.mean(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient


def coefficient(call):
    """The KL part: what its coefficient scales."""
    return once(call) - (once({**call, BETA: 0.0}) if BETA else 0.0)


def expected_gradient(call):
    """The gradient at the policy's logits; the batch holds each answer as often as the sampler draws it."""
    weight = coefficient(call)
    if RETURNS:
        weight = weight.flip(1).cumsum(1).flip(1)
    logits = LOGITS.clone().requires_grad_()
    score = torch.log_softmax(logits, -1)[torch.tensor(ROWS), torch.tensor(TOKENS)]
    return torch.autograd.grad((weight * score).sum() / DIVISOR, logits)[0]


seen = [coefficient(call) if LOGITS is None else expected_gradient(call) for call in CALLS]
expected = EXPECTED
if ORDER is not None:
    seen[0] = seen[0][ORDER]
if WHERE is not None:
    where = torch.tensor(WHERE, dtype=torch.bool)
    seen = [x[: where.shape[0], : where.shape[1]][where] for x in seen]
    expected = None if expected is None else expected[where]
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
