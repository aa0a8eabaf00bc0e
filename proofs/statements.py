"""What a theorem says: expressions that every engine reads for itself.

Nothing here is derived. A statement holds the surrogate that code back-propagates, the distribution
that tokens are drawn from and the objective of the claim, as they would be written down; each engine
differentiates and decides on its own, so that no engine rests on another.

Per token the alphabet is p, q, m (`proofs.symbols`): the probabilities of policy, reference and
sampler. Only p depends on the parameters; `sg(x)` is x detached. Every other symbol is a constant,
the same for all tokens, unless it is `REWARD`. Everything is claimed for every finite vocabulary,
every differentiable policy and every reference and sampler of full support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp
from sympy import Add, Expr, Function, Integer, Symbol, exp, log
from sympy.core.function import ArgumentIndexError

from proofs.steps import Step
from proofs.symbols import M, P, Q, token_symbols

LOG_RATIO = log(P) - log(Q)
"""L = log(policy/reference), written out."""

RATIO = P / M
"""rho = policy/sampler, written out."""

TOKEN_SYMBOLS = (P, Q, M)


class sg(Function):  # the field's own name for it
    """Detached: a number to the gradient (stop-gradient)."""

    nargs = 1
    is_real = True

    def _eval_derivative(self, _symbol: Symbol) -> Expr:
        return Integer(0)

    def _eval_is_positive(self) -> bool | None:
        return self.args[0].is_positive  # type: ignore[no-any-return,unused-ignore]


class Total(Function):
    """The sum of its argument, an expression in p, q, m, over the vocabulary."""

    nargs = 1
    is_real = True


class K(Function):
    """An arbitrary differentiable estimator k of the log ratio."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        """Its derivative is k'."""
        return DK(self.args[0])


class DK(Function):
    """k', the derivative of the arbitrary estimator k."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        """No statement differentiates twice."""
        raise ArgumentIndexError(self, argindex)


def undetached(expr: Expr) -> Expr:
    """Return the expression's value: sg(x) is x."""
    while detached := expr.atoms(sg):
        expr = expr.xreplace({part: part.args[0] for part in detached})
    return expr


@dataclass(frozen=True)
class Gradient:
    """sum over the vocabulary of `weight` * grad `of`; the weight is not differentiated.

    Drawn from the policy the weight is p, from the sampler m. An objective sum_i F(p_i, q_i, m_i)
    has weight 1 and `of` = F.
    """

    weight: Expr
    of: Expr

    def slope(self) -> Expr:
        """Return a(p, q, m) with the gradient = sum over tokens of a grad p."""
        return undetached(self.weight * sp.diff(self.of, P))


@dataclass(frozen=True)
class ExpectedGradient:
    """Two expected gradients are the same vector, in every direction of parameter space."""

    left: Gradient
    right: Gradient


@dataclass(frozen=True)
class SampleGradient:
    """grad left = grad right on every single token: the same random variable, whoever drew it."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class Value:
    """left = right, expressions in `Total` and constants, where the distributions sum to `masses`.

    A mass other than 1 is for sums over a part of the vocabulary, such as the policy's support.
    """

    left: Expr
    right: Expr
    masses: Mapping[Symbol, Expr] = field(default_factory=lambda: {P: Integer(1), Q: Integer(1), M: Integer(1)})


@dataclass(frozen=True)
class Identity:
    """left = right for all values that the symbols' assumptions allow."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class Inequality:
    """expr > 0 for low < variable < high.

    `zeros` are points of the interval where expr is exactly 0 instead: the claim is then expr > 0
    everywhere else.
    """

    expr: Expr
    variable: Symbol
    low: Expr = -sp.oo
    high: Expr = sp.oo
    zeros: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class DerivativeAt:
    """The derivative of `expr` by its only variable is `value` at `point`."""

    expr: Expr
    variable: Symbol
    point: Expr
    value: Expr


@dataclass(frozen=True)
class Instance:
    """A closed expression is positive, at a concrete `instance`; what counterexamples are."""

    expr: Expr
    instance: Mapping[str, str]


@dataclass(frozen=True)
class Stationary:
    """With p = `policy` put in, `force` takes the same value on all tokens.

    `force` is the expected ascent's coefficient (reward minus penalty) as an expression in p, q, R;
    by the master lemma a policy is a fixed point exactly if it is constant.
    """

    policy: Expr
    force: Expr


@dataclass(frozen=True)
class GaussianMean:
    """E[integrand] = value for the variable drawn from N(0, 1); other symbols are real constants."""

    integrand: Expr
    variable: Symbol
    value: Expr


Surrogate: TypeAlias = Callable[[int], Expr]
"""From the number T of tokens to the surrogate of one answer: an expression in L_t, rho_t, log p_t,
KL(policy||reference)_t and KL(reference||policy)_t (`proofs.symbols`) and the answer's length N."""


@dataclass(frozen=True)
class SequenceGradient:
    """E over whole answers of grad left = E of grad right, at every horizon T.

    Drawn from the policy or from the sampler (`P` or `M`); the sampling is not differentiated. rho_t
    is policy/sampler, whoever drew the answer. With `variable_length` answers end at an end token
    (token 0) or after T tokens, and N is their length; otherwise all have T tokens and N = T. A
    position after the end counts for nothing: there L = 0, rho = 1, the score and the divergences 0.
    """

    left: Surrogate
    left_drawn_from: Symbol
    right: Surrogate
    right_drawn_from: Symbol
    variable_length: bool = False


@dataclass(frozen=True)
class SequenceValue:
    """E over whole answers of left = E of right, at every horizon T; drawn as `SequenceGradient` says."""

    left: Surrogate
    left_drawn_from: Symbol
    right: Surrogate
    right_drawn_from: Symbol
    variable_length: bool = False


@dataclass(frozen=True)
class MeanGradient:
    """The surrogate, drawn from the policy, with the gradient of E_policy[value]: value and sampling.

    Called, it gives grad E[X] = E[X sum_t s_t + grad X], the log-derivative rule over whole answers. An
    engine that writes the expectation out may differentiate it as it stands instead.
    """

    value: Surrogate

    def __call__(self, horizon: int) -> Expr:
        """Return the surrogate at one horizon."""
        from proofs.symbols import log_policy_symbol

        scores = Add(*(log_policy_symbol(t) for t in range(horizon)))
        return self.value(horizon) + sg(self.value(horizon)) * scores


def gradient_of_mean(value: Surrogate) -> MeanGradient:
    """Return the surrogate, drawn from the policy, with the gradient of E_policy[value]."""
    return MeanGradient(value)


def log_ratios(horizon: int) -> list[Symbol]:
    """Return L_0 .. L_{T-1}."""
    return [token_symbols(t)[0] for t in range(horizon)]


def ratios(horizon: int) -> list[Symbol]:
    """Return rho_0 .. rho_{T-1}."""
    return [token_symbols(t)[1] for t in range(horizon)]


@dataclass(frozen=True)
class Lemma:
    """A statement about all coefficients or all functions at once, which no single formula says.

    `formula` is LaTeX for the reader; `prove` is the SymPy derivation, which raises if a step does
    not check, and `prove_explicitly` a second one with every sum written out. Other engines have a
    proof of the same name or none. `steps` is the derivation for a reader.
    """

    formula: str
    prove: Callable[[], object]
    scope: str = "any vocabulary"
    prove_explicitly: Callable[[], object] | None = None
    steps: Callable[[], tuple[Step, ...]] | None = None


Statement: TypeAlias = (
    ExpectedGradient
    | SampleGradient
    | Value
    | Identity
    | Inequality
    | DerivativeAt
    | Instance
    | Stationary
    | GaussianMean
    | SequenceGradient
    | SequenceValue
    | Lemma
)

K1 = LOG_RATIO
K2 = LOG_RATIO**2 / 2
K3 = exp(-LOG_RATIO) - 1 + LOG_RATIO
