"""Lemmas on all coefficients, all functions or all groups at once, each proved twice.

The second proofs write every sum of a small vocabulary out and share no step with the first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import sympy as sp
from sympy import Expr, Function, Integer, KroneckerDelta, Matrix, Rational, Symbol, exp, log
from sympy.polys.fields import sfield

from proofs.divergences import OBJECTIVES
from proofs.master_lemma import (
    ProofError,
    indexed_sum,
    prove_for_any_vocabulary,
    prove_for_explicit_vocabulary,
    prove_objective,
    proved_step,
)
from proofs.statements import Lemma
from proofs.steps import Step
from proofs.symbols import L, U
from proofs.theorem import FINITE, FROZEN, FULL_SUPPORT, USUAL, Theorem

_FAMILY = "lemmas"
_PROOF = "the project's own proof"


def _cancels(expr: Expr) -> bool:
    return bool(sfield(sp.together(expr))[1] == 0)


def _assert_zero(expr: Expr, what: str) -> None:
    if not (expr == 0 or _cancels(expr)):
        raise ProofError(what)


def _completeness() -> tuple[Step, ...]:
    """Two values of the log ratio, on two of three tokens that carry a policy and a reference."""
    x, y = Symbol("x", real=True), Symbol("y", real=True)
    epsilon = 1 / (2 + exp(x) + exp(y))
    reference = [epsilon, epsilon, 1 - 2 * epsilon]
    policy = [epsilon * exp(x), epsilon * exp(y), 1 - epsilon * (exp(x) + exp(y))]
    steps = [
        proved_step(
            sp.factor(sum(reference, Integer(0))),
            Integer(1),
            "the reference (e, e, 1 - 2 e) with e = 1/(2 + exp(x) + exp(y)) sums to 1",
            "construction",
        ),
        proved_step(
            sp.factor(sum(policy, Integer(0))),
            Integer(1),
            "the policy (e exp(x), e exp(y), the rest) sums to 1, all parts positive",
            "construction",
        ),
        proved_step(sp.factor(log(policy[0] / reference[0])), x, "the first token has the log ratio x", "construction"),
        proved_step(
            sp.factor(log(policy[1] / reference[1])), y, "the second token has the log ratio y", "construction"
        ),
    ]
    for value in (*reference, *policy):
        numerator, denominator = sp.fraction(sp.factor(value))
        if not (numerator.is_positive and denominator.is_positive):
            raise ProofError(f"{value} is not seen to be positive")
    p, c, d, mean = (Symbol(n, real=True) for n in ("p", "c_x", "c_y", "mean"))
    steps.append(
        proved_step(
            sp.solve(p * (c - mean), c)[0], mean, "p (c(x) - E c) = 0 and p > 0 give c(x) = E c", "master lemma"
        )
    )
    note = "likewise c(y) = E c: c(x) = c(y) for all x, y"
    steps.append(proved_step(sp.solve(p * (d - mean), d)[0], mean, note, "master lemma"))
    return tuple(steps)


def _completeness_by_rank() -> None:
    """The map from coefficients to gradients, diag(p) - p p^T, loses nothing but constants."""
    p = [Symbol(f"p{i}", positive=True) for i in range(3)]
    full = [*p[:2], 1 - p[0] - p[1]]
    matrix = Matrix(3, 3, lambda i, k: full[i] * (KroneckerDelta(i, k) - full[k]))
    for row in matrix * Matrix([1, 1, 1]):
        _assert_zero(row, "a constant has a gradient")
    minor = sp.factor(matrix[:2, :2].det())
    if minor not in (p[0] * p[1] * full[2], sp.factor(p[0] * p[1] * full[2])):
        raise ProofError("the rank is not 2")


def _unique_in_reward() -> tuple[Step, ...]:
    g = Function("g")
    a, b = Symbol("a", real=True), Symbol("b", real=True)
    gap = sp.diff(U * g(U), U) - g(U)
    steps = [
        proved_step(
            gap,
            U * sp.diff(g(U), U),
            "the coefficients of grad E[g] and of g in reward differ by u g'(u)",
            "derivative",
        )
    ]
    solution = sp.dsolve(sp.Eq(U * g(U).diff(U), a), g(U), hint="1st_linear").rhs
    constant = next(iter(solution.free_symbols - {a, U}))
    steps.append(
        proved_step(sp.expand(solution.subs(constant, b)), a * log(U) + b, "u g'(u) = a, solved", "integration")
    )
    inside = (a * log(U) + b).diff(U) * U
    steps.append(proved_step(inside, a, "and g = a log u + b has u g'(u) = a", "derivative"))
    return tuple(steps)


def _unique_in_reward_by_quotient() -> None:
    """h(u) = g(u) - a log u has the derivative (u g' - a)/u, which is zero: h is constant."""
    g, a = Function("g"), Symbol("a", real=True)
    slope = sp.diff(g(U) - a * log(U), U)
    _assert_zero((slope - (U * g(U).diff(U) - a) / U).subs(g(U).diff(U), Symbol("g1")), "derivative of g - a log u")


def _unique_as_loss() -> tuple[Step, ...]:
    loss = Function("l")
    c, d = Symbol("c", real=True), Symbol("d", real=True)
    solution = sp.dsolve(sp.Eq(loss(L).diff(L), L + c), loss(L), hint="1st_linear").rhs
    constant = next(iter(solution.free_symbols - {c, L}))
    return (
        proved_step(
            sp.expand(solution.subs(constant, d)), L**2 / 2 + c * L + d, "l'(L) = L + c, solved", "integration"
        ),
        proved_step(sp.diff(L**2 / 2 + c * L + d, L), L + c, "and L^2/2 + c L + d has that derivative", "derivative"),
    )


def _unique_as_loss_by_difference() -> None:
    loss, c = Function("l"), Symbol("c", real=True)
    slope = sp.diff(loss(L) - L**2 / 2 - c * L, L)
    _assert_zero(
        (slope - (loss(L).diff(L) - L - c)).subs(loss(L).diff(L), Symbol("l1")), "derivative of the difference"
    )


def _stiffness() -> tuple[Step, ...]:
    """Differentiate p_k (c(L_k) - sum_i p_i c(L_i)) by the logit j at p = q, one factor after the other."""
    size = Symbol("V", integer=True, positive=True)
    i, j, k = (sp.Idx(n, size) for n in "ijk")
    p = sp.IndexedBase("p", positive=True)
    slope, value = Symbol("c1", real=True), Symbol("c0", real=True)
    ones = {p[i]: Integer(1)}

    def move(at: sp.Idx) -> Expr:
        """d log p_at / d logit j, which is also how L_at moves."""
        return KroneckerDelta(at, j) - p[j]

    outer = p[k] * move(k) * (value - indexed_sum(p[i] * value, i, ones))
    mean = indexed_sum(p[i] * move(i) * value, i, ones) + indexed_sum(p[i] * slope * move(i), i, ones)
    return (
        proved_step(outer, Integer(0), "at p = q every coefficient is c(0), so the factor p_k moves nothing"),
        proved_step(mean, Integer(0), "sum_i p_i (delta_ij - p_j) = 0, so the mean moves nothing"),
        proved_step(
            outer + p[k] * (slope * move(k) - mean),
            sp.expand(slope * p[k] * (KroneckerDelta(k, j) - p[j])),
            "what is left is c'(0) p_k (delta_kj - p_j), c'(0) times the Fisher matrix of a softmax",
        ),
    )


def _stiffness_written_out() -> None:
    """Differentiate by the probabilities, they by the logits: the chain rule keeps what SymPy sees small."""
    logits = [Symbol(f"x{n}", real=True) for n in range(3)]
    total = sp.Add(*map(exp, logits))
    weights = {exp(x): Symbol(f"E{n}", positive=True) for n, x in enumerate(logits)}
    policy, frozen = ([Symbol(f"{name}{n}", positive=True) for n in range(3)] for name in "pq")
    values = {p: (exp(x) / total).xreplace(weights) for p, x in zip(policy, logits, strict=True)}
    # exp(2 x) is exp(x)**2 to subs, and nothing to xreplace
    moved = [[sp.diff(exp(x) / total, y).subs(weights) for y in logits] for x in logits]
    slope, value, curve = (Symbol(n, real=True) for n in ("c1", "c0", "c2"))

    def c(z: Expr) -> Expr:
        return value + slope * z + curve * z**2

    ratios = [log(p) - log(q) for p, q in zip(policy, frozen, strict=True)]
    mean = sp.Add(*(p * c(z) for p, z in zip(policy, ratios, strict=True)))
    at_reference = dict(zip(frozen, policy, strict=True))
    for k in range(3):
        field = policy[k] * (c(ratios[k]) - mean)
        by_policy = [sp.diff(field, p).xreplace(at_reference).xreplace(values) for p in policy]
        for j in range(3):
            jacobian = sp.Add(*(by_policy[i] * moved[i][j] for i in range(3)))
            fisher = values[policy[k]] * (Integer(k == j) - values[policy[j]])
            _assert_zero(jacobian - slope * fisher, f"entry {k}, {j} of the Jacobian")


def _convexity() -> tuple[Step, ...]:
    c = Function("c")
    z = Symbol("z", real=True)
    second = sp.diff(c(log(U)), U)
    expected = c(z).diff(z).subs(z, log(U)) / U
    return (
        proved_step(second.doit(), expected.doit(), "f' = c(log u), so f'' = c'(log u)/u", "chain rule"),
        proved_step(sp.sign(1 / U), Integer(1), "1/u > 0: f'' and c' have the same sign", "sign"),
    )


def _convexity_along_logarithms() -> None:
    """With u = e^z the chain rule the other way: d/dz f'(e^z) = e^z f''(e^z), which is to be c'(z)."""
    first = Function("f1")
    z, u = Symbol("z", real=True), Symbol("u", positive=True)
    second = first(u).diff(u).subs(u, exp(z))
    _assert_zero(sp.expand(sp.diff(first(exp(z)), z) - exp(z) * second).doit(), "the derivative of f'(e^z)")


def _group(self_inclusive: bool) -> tuple[Step, ...]:
    """E[(c_1 - mean) s_1] over n independent draws: the mean is split into the draw itself and the others."""
    n = Symbol("n", integer=True, positive=True)
    force, mean, score = Symbol("E[c s]", real=True), Symbol("E[c]", real=True), Integer(0)
    if self_inclusive:
        left = force - (force + (n - 1) * mean * score) / n
        return (
            proved_step(
                sp.expand(left),
                sp.expand((1 - 1 / n) * force),
                "1/n of the draw's own c s; the n - 1 others are independent of s, and E[s] = 0",
                "independence",
            ),
        )
    return (proved_step(force - mean * score, force, "the others are independent of s, and E[s] = 0", "independence"),)


def _group_written_out(self_inclusive: bool) -> None:
    """Every outcome of n = 2 and 3 draws from three tokens."""
    p = [Symbol(f"p{i}", positive=True) for i in range(2)]
    policy = [*p, 1 - p[0] - p[1]]
    c = [Symbol(f"c{i}", real=True) for i in range(3)]
    score = [Integer(i == 0) - policy[0] for i in range(3)]
    force = sp.Add(*(policy[i] * c[i] * score[i] for i in range(3)))
    for n in (2, 3):
        total = Integer(0)
        for draws in product(range(3), repeat=n):
            others = sum((c[d] for d in draws[1:]), Integer(0))
            centre = (c[draws[0]] + others) / n if self_inclusive else others / (n - 1)
            total += sp.Mul(*(policy[d] for d in draws)) * (c[draws[0]] - centre) * score[draws[0]]
        factor = 1 - Rational(1, n) if self_inclusive else Integer(1)
        _assert_zero(sp.expand(total - factor * force), f"n = {n}")


def _closed_form(name: str) -> tuple[Step, ...]:
    """p_k (c_k - sum_i p_i c_i), the sum taken with indexed sums where it is known."""
    size = Symbol("V", integer=True, positive=True)
    i, k = sp.Idx("i", size), sp.Idx("k", size)
    p, q = sp.IndexedBase("p", positive=True), sp.IndexedBase("q", positive=True)
    divergence = indexed_sum(p[i] * log(p[i] / q[i]), i)
    squares = indexed_sum(p[i] ** 2 / q[i], i)
    slope = sp.diff(OBJECTIVES[name].generator, U)
    coefficient = {at: slope.subs(U, p[at] / q[at]) for at in (i, k)}
    mean = indexed_sum(p[i] * coefficient[i], i, {p[i]: Integer(1), q[i]: Integer(1)})
    right = {
        "reverse_kl": p[k] * (log(p[k] / q[k]) - divergence),
        "forward_kl": p[k] - q[k],
        "chi2_half": p[k] * (p[k] / q[k] - squares),
    }[name]
    left = sp.expand(p[k] * (coefficient[k] - mean))
    return (proved_step(left, sp.expand(right), "with sum p = sum q = 1", "master lemma"),)


def _lemma(
    name: str,
    words: str,
    formula: str,
    prove: Callable[[], tuple[Step, ...]],
    explicitly: Callable[[], object],
    source: str = _PROOF,
    conditions: tuple[str, ...] = USUAL,
) -> Theorem:
    statement = Lemma(formula, prove, prove_explicitly=explicitly, steps=prove)
    return Theorem(name, words, statement, conditions, source, _FAMILY)


_CLOSED_FORMS = {
    "reverse_kl": (
        "p_k (L_k - KL(policy||reference))",
        r"\nabla_k \mathrm{KL}(\pi\|\pi_{\mathrm{ref}}) = \pi_k\,(L_k - \mathrm{KL}(\pi\|\pi_{\mathrm{ref}}))",
    ),
    "forward_kl": (
        "p_k - q_k",
        r"\nabla_k \mathrm{KL}(\pi_{\mathrm{ref}}\|\pi) = \pi_k - \pi_{\mathrm{ref},k}",
    ),
    "chi2_half": (
        "p_k (p_k/q_k - E_policy[p/q])",
        r"\nabla_k \tfrac12\chi^2(\pi\|\pi_{\mathrm{ref}}) = \pi_k\,(u_k - \mathbb{E}_\pi[u])",
    ),
}

THEOREMS = (
    _lemma(
        "master-lemma",
        "In logit coordinates E_policy[c s]_k = p_k (c_k - E_policy[c]), for any coefficient c and any vocabulary.",
        r"\mathbb{E}_\pi[c\,s]_k = \pi_k\,(c_k - \mathbb{E}_\pi[c])",
        prove_for_any_vocabulary,
        prove_for_explicit_vocabulary,
        "Williams 1992; softmax closed forms",
    ),
    _lemma(
        "completeness",
        "Different coefficients, different gradient: two functions of the log ratio that have the same expected "
        "gradient for every policy and reference over three tokens differ by a constant.",
        r"\bigl(\forall \pi,\pi_{\mathrm{ref}}:\ \mathbb{E}_\pi[c(L)\,s] = 0\bigr) \Rightarrow c\ \text{is constant}",
        _completeness,
        _completeness_by_rank,
        conditions=("three tokens or more", FULL_SUPPORT, FROZEN),
    ),
    _lemma(
        "unique.in-reward",
        "The log ratio is, up to scale and baseline, the only penalty that may sit detached in a reward: the gradient "
        "of g in reward is that of E_policy[g] for every policy exactly if g = a log u + b.",
        r"\mathbb{E}_\pi[g(u)\,s] = \nabla\,\mathbb{E}_\pi[g(u)]\ \forall\pi \iff g(u) = a\log u + b",
        _unique_in_reward,
        _unique_in_reward_by_quotient,
        "arXiv 2606.01039",
    ),
    _lemma(
        "unique.as-loss",
        "k2 is, up to a baseline and a constant, the only estimator that as loss has on-policy the gradient of "
        "KL(policy||reference): l = L^2/2 + c L + d.",
        r"\mathbb{E}_\pi[\nabla \ell(L)] = \nabla\,\mathrm{KL}(\pi\|\pi_{\mathrm{ref}})\ \forall\pi \iff "
        r"\ell(L) = \tfrac12 L^2 + cL + d",
        _unique_as_loss,
        _unique_as_loss_by_difference,
    ),
    _lemma(
        "stiffness.is-fisher",
        "At policy = reference the Jacobian of the expected gradient E_policy[c(L) s] is c'(0) times the Fisher "
        "matrix.",
        r"\frac{\partial}{\partial x_j}\mathbb{E}_\pi[c(L)\,s]_k\Big|_{\pi=\pi_{\mathrm{ref}}} = "
        r"c'(0)\,\pi_k(\delta_{kj}-\pi_j)",
        _stiffness,
        _stiffness_written_out,
    ),
    _lemma(
        "convexity.criterion",
        "The generator of a coefficient c(L) is convex exactly if c never decreases: f''(u) = c'(log u)/u.",
        r"f'(u) = c(\log u) \Rightarrow f''(u) = \frac{c'(\log u)}{u}",
        _convexity,
        _convexity_along_logarithms,
        "arXiv 2605.15417",
        ("u > 0",),
    ),
    _lemma(
        "group-centring.self-inclusive",
        "Centring a penalty in reward by the mean of its group of n, itself included, shrinks its expected gradient by "
        "exactly 1 - 1/n.",
        r"\mathbb{E}\Bigl[\bigl(c_1 - \tfrac1n\textstyle\sum_j c_j\bigr)s_1\Bigr] = "
        r"\bigl(1-\tfrac1n\bigr)\,\mathbb{E}[c\,s]",
        partial(_group, True),
        partial(_group_written_out, True),
        conditions=(FINITE, FULL_SUPPORT, "independent draws from one policy"),
    ),
    _lemma(
        "group-centring.leave-one-out",
        "Centring by the mean of the other n - 1 leaves the expected gradient as it is.",
        r"\mathbb{E}\Bigl[\bigl(c_1 - \tfrac{1}{n-1}\textstyle\sum_{j\ne1} c_j\bigr)s_1\Bigr] = \mathbb{E}[c\,s]",
        partial(_group, False),
        partial(_group_written_out, False),
        conditions=(FINITE, FULL_SUPPORT, "independent draws from one policy"),
    ),
    *(
        _lemma(
            f"closed-form.{name}",
            f"In logit coordinates the gradient of {OBJECTIVES[name].display} is {words}.",
            formula,
            partial(_closed_form, name),
            partial(prove_objective, OBJECTIVES[name]),
            "softmax closed forms",
        )
        for name, (words, formula) in _CLOSED_FORMS.items()
    ),
)
