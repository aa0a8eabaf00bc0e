"""The alphabet. Every formula of the project is written in these symbols.

`policy` pi is trained, `reference` ref is frozen, `sampler` mu drew the tokens. The ratio of
arXiv 2510.01555 (delta = reference/policy) is exp(-L) here.
"""

from __future__ import annotations

from functools import cache

from sympy import Symbol

L = Symbol("L", real=True)
"""log(policy/reference) of the token that was drawn."""

RHO = Symbol("rho", positive=True)
"""policy/sampler of the token that was drawn; 1 on-policy."""

U = Symbol("u", positive=True)
"""policy/reference, that is exp(L): the argument of an f-divergence's generator."""

BETA = Symbol("beta", positive=True)
"""The coefficient of the penalty."""

THRESHOLD = Symbol("C", positive=True)
"""Where a truncated importance weight min(rho, C) is cut."""


@cache
def token_symbols(t: int) -> tuple[Symbol, Symbol]:
    """Return (L_t, rho_t): the log ratio and the importance ratio at position t of one sequence."""
    if t < 0:
        raise ValueError(f"a position is 0 or more, not {t}")
    return Symbol(f"L{t}", real=True), Symbol(f"rho{t}", positive=True)


# Theorems speak of one token of an arbitrary vocabulary. Its three probabilities:

P = Symbol("p", positive=True)
"""The policy's probability of the token; the only one that training moves."""

Q = Symbol("q", positive=True)
"""The reference's probability of the token."""

M = Symbol("m", positive=True)
"""The sampler's probability of the token."""

REWARD = Symbol("R", real=True)
"""The token's reward: any number."""

LENGTH = Symbol("N", positive=True)
"""The length of the answer that was drawn, a function of the whole answer."""


@cache
def log_policy_symbol(t: int) -> Symbol:
    """Return log policy of the token at position t; its derivative is that token's score."""
    return Symbol(f"logp{t}", real=True)


@cache
def divergence_symbol(t: int) -> Symbol:
    """Return KL(policy||reference) of the next token at position t: a function of the tokens before it."""
    return Symbol(f"KL{t}", real=True)


@cache
def reference_divergence_symbol(t: int) -> Symbol:
    """Return KL(reference||policy) of the next token at position t: a function of the tokens before it."""
    return Symbol(f"KLref{t}", real=True)
