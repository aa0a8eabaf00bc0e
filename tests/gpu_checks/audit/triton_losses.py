"""A loss over Triton kernels, as a user writes one: k3 of the rows' tokens, forward and backward; and two faults."""

# mypy: ignore-errors
from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _forward(logits, tokens, reference, lse, value, V, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    top, total = -float("inf"), 0.0
    for start in range(0, V, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(logits + row * V + at, mask=at < V, other=-float("inf")).to(tl.float32)
        larger = tl.maximum(top, tl.max(x))
        total = total * tl.exp(top - larger) + tl.sum(tl.exp(x - larger))
        top = larger
    normaliser = top + tl.log(total)
    tl.store(lse + row, normaliser)
    own = tl.load(logits + row * V + tl.load(tokens + row)).to(tl.float32) - normaliser
    t = tl.load(reference + row) - own
    tl.store(value + row, tl.exp(t) - t - 1.0)


@triton.jit
def _backward(logits, tokens, reference, lse, upstream, gradient, V, BLOCK: tl.constexpr, K2: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    token, normaliser = tl.load(tokens + row), tl.load(lse + row)
    ratio = tl.load(logits + row * V + token).to(tl.float32) - normaliser - tl.load(reference + row)
    coefficient = ratio if K2 else 1.0 - tl.exp(-ratio)
    scale = tl.load(upstream + row) * coefficient
    for start in range(0, V, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(logits + row * V + at, mask=at < V, other=-float("inf")).to(tl.float32)
        p = tl.exp(x - normaliser)
        tl.store(gradient + row * V + at, scale * (tl.where(at == token, 1.0, 0.0) - p), mask=at < V)


class _K3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, tokens, reference, k2, short):
        rows, vocabulary = logits.shape
        lse, value = (torch.empty(rows, dtype=torch.float32) for _ in range(2))
        _forward[(rows,)](logits, tokens, reference, lse, value, vocabulary - short, BLOCK=256)
        ctx.save_for_backward(logits, tokens, reference, lse)
        ctx.k2 = k2
        return value

    @staticmethod
    def backward(ctx, upstream):
        logits, tokens, reference, lse = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        rows, vocabulary = logits.shape
        given = (logits, tokens, reference, lse, upstream.float().contiguous(), gradient, vocabulary)
        _backward[(rows,)](*given, BLOCK=256, K2=ctx.k2)
        return gradient, None, None, None, None


def _apply(logits, labels, ref_logp, k2=False, short=0):
    b, t, v = logits.shape
    flat = (
        logits.reshape(b * t, v).contiguous(),
        labels.reshape(-1).contiguous(),
        ref_logp.reshape(-1).float().contiguous(),
    )
    return _K3.apply(*flat, k2, short).reshape(b, t)


def fused_k3(logits, labels, ref_logp):
    return _apply(logits, labels, ref_logp)


def fused_k3_with_the_gradient_of_k2(logits, labels, ref_logp):
    return _apply(logits, labels, ref_logp, k2=True)


def fused_k3_without_the_last_column(logits, labels, ref_logp):
    return _apply(logits, labels, ref_logp, short=1 if logits.shape[-1] > 1000 else 0)
