"""Statements and steps in LaTeX and in plain text, by SymPy's printers with the field's own signs.

p, q and m are the probabilities that policy, reference and sampler give to a token. In LaTeX they
are pi, pi_ref and mu; log p - log q is shown as L, which every report explains in its conventions.
"""

from __future__ import annotations

import sympy as sp
from sympy import Add, Basic, Expr, Integer, Mul, Symbol, log

from proofs.report.claims import Piece, claim_of, in_two, joined
from proofs.report.latex_printer import TheoremLatexPrinter
from proofs.report.text_printer import TheoremTextPrinter, plain_formula
from proofs.statements import Instance, Lemma, Statement, sg
from proofs.steps import Nabla
from proofs.symbols import L, P, Q
from proofs.theorems.fixed_points import CLIP

LINE = 88
"""Signs of text beyond which a formula is broken at its relation."""
LONG_INSTANCE = 60
"""Operations beyond which a closed expression is shown by its value: it was computed, not written."""

_EPSILON = Symbol("varepsilon", positive=True)
"""The clip range, which statements write as e/(1 + e) so that it is between 0 and 1."""
_RELATIONS = {"=": "=", ">": ">", "<": "<"}


_LATEX = TheoremLatexPrinter()
_TEXT = TheoremTextPrinter()


def readable(expr: Basic) -> Basic:
    """Return the expression with log p - log q written as L and detached numbers as numbers."""
    if isinstance(expr, sg) and expr.args[0].is_number:
        return expr.args[0]
    if isinstance(expr, sp.Derivative | sp.Integral | sp.Sum | sp.Subs) or not expr.args:
        return expr
    arguments = tuple(readable(argument) for argument in expr.args)
    if isinstance(expr, Nabla) and arguments[0].is_number:
        return Integer(0)
    rebuilt = expr if arguments == expr.args else expr.func(*arguments)
    if isinstance(rebuilt, Add):
        return _with_log_ratio(rebuilt)
    return _with_clip_range(rebuilt) if isinstance(rebuilt, Mul) else rebuilt


def _with_clip_range(product: Mul) -> Expr:
    rest = list(product.args)
    if CLIP not in rest or 1 / (1 + CLIP) not in rest:
        return product
    rest.remove(CLIP)
    rest.remove(1 / (1 + CLIP))
    return Mul(_EPSILON, *rest)


def _with_log_ratio(total: Add) -> Expr:
    terms = list(total.args)
    ratio = Integer(0)
    for term in total.args:
        factor, rest = term.as_independent(log(P), as_Add=False)
        opposite = -factor * log(Q)
        if rest == log(P) and opposite in terms:
            terms.remove(term)
            terms.remove(opposite)
            ratio += factor * L
    return Add(ratio, *terms)


def expression_latex(expr: Basic) -> str:
    """Return an expression or a step's line in LaTeX, without dollars."""
    return str(_LATEX.doprint(readable(expr)))


def expression_text(expr: Basic) -> str:
    """Return an expression or a step's line in plain text."""
    return str(_TEXT.doprint(readable(expr)))


def latex_of(statement: Statement) -> str:
    """Return the statement's formula in LaTeX, without dollars.

    E_{a ~ pi}[nabla k] is the expected gradient of the surrogate k over tokens drawn from the policy.
    """
    if isinstance(statement, Lemma):
        return statement.formula
    if isinstance(statement, Instance) and _is_long(statement):
        return rf"{_value(statement)} > 0"
    return joined(claim_of(statement), _latex_piece, r",\quad ")


def text_of(statement: Statement) -> str:
    """Return the statement's formula in plain text."""
    if isinstance(statement, Lemma):
        return plain_formula(statement.formula)
    if isinstance(statement, Instance) and _is_long(statement):
        return f"{_value(statement)} > 0"
    return joined(claim_of(statement), _text_piece, ", ")


def lines_of(statement: Statement) -> tuple[tuple[str, str], ...]:
    """Return the formula as lines of LaTeX and text: two, broken at the relation, where one would be long."""
    text = text_of(statement)
    if isinstance(statement, Lemma) or len(text) <= LINE or (isinstance(statement, Instance) and _is_long(statement)):
        return ((latex_of(statement), text),)
    claim = claim_of(statement)
    pairs = zip(in_two(claim, _latex_piece, r",\quad "), in_two(claim, _text_piece, ", "), strict=True)
    return tuple(pairs)


def _is_long(statement: Instance) -> bool:
    return bool(sp.count_ops(statement.expr) > LONG_INSTANCE)


def _value(statement: Instance) -> str:
    return f"{float(statement.expr.evalf(15)):.6g}"


def _latex_piece(piece: Piece) -> str:
    if isinstance(piece, str):
        return _RELATIONS.get(piece) or rf"\text{{ {piece} }}"
    return expression_latex(piece)


def _text_piece(piece: Piece) -> str:
    return piece if isinstance(piece, str) else expression_text(piece)
