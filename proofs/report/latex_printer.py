"""SymPy's LaTeX printer with the field's signs: pi, pi_ref, mu, E_{a ~ pi}, nabla, sg, k, k'."""

from __future__ import annotations

import re

import sympy as sp
from sympy import Add, Expr, Indexed, Integer, Mul, Pow, Symbol, log
from sympy.printing.latex import LatexPrinter

from proofs.report.claims import NORMAL
from proofs.statements import DK, K, Total, sg
from proofs.steps import SCORE, Expectation, Nabla
from proofs.symbols import REWARD, RHO, L, M, P, Q, U

_LATEX_NAMES = {"p": r"\pi", "q": r"\pi_{\mathrm{ref}}", "mean": r"\overline{c}", "E[c s]": r"\mathbb{E}[c\,s]"}
_NUMBERED = {
    "p": r"\pi_{%s}",
    "q": r"\pi_{\mathrm{ref},%s}",
    "L": "L_{%s}",
    "rho": r"\rho_{%s}",
    "logp": r"\log \pi_{%s}",
    "s": "s_{%s}",
    "KL": r"\mathrm{KL}(\pi\|\pi_{\mathrm{ref}})_{%s}",
    "KLref": r"\mathrm{KL}(\pi_{\mathrm{ref}}\|\pi)_{%s}",
}
_PARTS = {"P": r"\pi", "Q": r"\pi_{\mathrm{ref}}"}


_SIMPLE = 4
_RANKS: dict[Symbol, int] = {P: 2, Q: 2, M: 2, L: 3, RHO: 3, U: 3, REWARD: 3, SCORE: 12}
_NUMBERED_RANKS = {"rho": 3, "L": 3, "KL": 7, "KLref": 7, "logp": 9, "s": 12}
_KINDS: tuple[tuple[type | tuple[type, ...], int], ...] = (
    ((sg, K, DK), 6),
    (sp.exp, 5),
    (Add, 8),
    (log, 9),
    (Expectation, 10),
    ((Nabla, Total), 11),
)


def _over(product: Expr) -> tuple[list[Expr], Expr]:
    """The factors above the bar, and the denominator."""
    above, below = [], []
    for factor in Mul.make_args(product):
        if factor.is_Rational:
            above.append(Integer(factor.p))
            below.append(Integer(factor.q))
        elif isinstance(factor, Pow) and factor.exp.is_Rational and factor.exp < 0:
            below.append(1 / factor)
        else:
            above.append(factor)
    return [factor for factor in above if factor != 1] or [Integer(1)], Mul(*below)


def _rank(factor: Expr) -> tuple[int, str]:
    """Where a factor stands in a product: numbers and constants, probabilities, ratios, functions, sums."""
    if factor.is_Number:
        return 0, ""
    base = factor if isinstance(factor, sp.exp) else factor.as_base_exp()[0]
    for kind, rank in _KINDS:
        if isinstance(base, kind):
            return rank, str(factor)
    if isinstance(base, Indexed):
        return 2, str(factor)
    if base.is_Symbol:
        numbered = re.fullmatch(r"([A-Za-z]+?)\d+", base.name)
        return _RANKS.get(base, _NUMBERED_RANKS.get(numbered[1], 1) if numbered else 1), str(factor)
    return (_SIMPLE if base.is_Number else 6), str(factor)


def _is_plain_quotient(expr: Expr) -> bool:
    return all(part.is_Symbol or part.is_Number for part in sp.fraction(expr))


class TheoremLatexPrinter(LatexPrinter):  # type: ignore[misc,unused-ignore]
    """SymPy's LaTeX with this project's signs."""

    def _print_Symbol(self, expr: Symbol, style: str = "plain") -> str:
        if expr == M:
            return r"\mu"
        if expr == NORMAL:
            return r"\mathcal{N}(0, 1)"
        return self._named(expr.name) or str(super()._print_Symbol(expr, style))

    def _print_Dummy(self, expr: Symbol) -> str:
        return self._print_Symbol(expr)

    def _named(self, name: str) -> str | None:
        if name in _LATEX_NAMES:
            return _LATEX_NAMES[name]
        part = re.fullmatch(r"([PQ])_(in|out)", name)
        if part:
            return rf"{_PARTS[part[1]]}(\mathrm{{{part[2]}}})"
        numbered = re.fullmatch(r"([A-Za-z]+?)(\d+)", name)
        if numbered and numbered[1] in _NUMBERED:
            return _NUMBERED[numbered[1]] % numbered[2]
        return None

    def _print_Indexed(self, expr: Indexed) -> str:
        base = self._named(str(expr.base.label)) or self._print(expr.base.label)
        indices = ",".join(self._print(index) for index in expr.indices)
        if base.endswith(r"_{\mathrm{ref}}"):
            return rf"\pi_{{\mathrm{{ref}},{indices}}}"
        return f"{base}_{{{indices}}}"

    def _print_Idx(self, expr: Expr) -> str:
        return str(self._print(expr.label))

    def _print_Exp1(self, _expr: Expr, exp: str | None = None) -> str:
        return r"\mathrm{e}" if exp is None else rf"\mathrm{{e}}^{{{exp}}}"

    def _print_ExpBase(self, expr: Expr, exp: str | None = None) -> str:
        tex = rf"\mathrm{{e}}^{{{self._print(expr.exp)}}}"
        return tex if exp is None else rf"\left({tex}\right)^{{{exp}}}"

    def _print_Pow(self, expr: Pow) -> str:
        if isinstance(expr.base, Total | Nabla):
            return rf"\left({self._print(expr.base)}\right)^{{{self._print(expr.exp)}}}"
        return str(super()._print_Pow(expr))

    def _print_Mul(self, expr: Mul) -> str:
        number, rest = expr.as_coeff_Mul()
        if number.is_Rational and number < 0:
            return f"- {self._print(Mul(-number, rest, evaluate=False) if number != -1 else rest)}"
        above, denominator = _over(expr)
        factors = sorted(above, key=_rank)
        if denominator == 1:
            return self._product(factors)
        inside = [factor for factor in factors if _rank(factor)[0] <= _SIMPLE] or factors
        fraction = rf"\frac{{{self._product(inside)}}}{{{self._print(denominator)}}}"
        outside = [factor for factor in factors if factor not in inside]
        return f"{fraction} {self._product(outside, alone=False)}" if outside else fraction

    def _product(self, factors: list[Expr], alone: bool = True) -> str:
        alone = alone and len(factors) == 1
        product = " ".join(self._factor(factor, factor is factors[-1], alone) for factor in factors)
        return re.sub(r"(?<=\d) (?=\d)", r" \\cdot ", product)

    def _factor(self, factor: Expr, last: bool, alone: bool) -> str:
        tex = str(self._print(factor))
        if alone:
            return tex
        if isinstance(factor, Add | sp.Piecewise | sp.Derivative) or tex.startswith("-"):
            return rf"\left({tex}\right)"
        # a sum, a gradient or a bare logarithm would take in what follows it
        open_ended = isinstance(factor, Total | Nabla | log | sp.Sum) or isinstance(factor.as_base_exp()[0], log)
        return rf"\left({tex}\right)" if open_ended and not last else tex

    def _print_Add(self, expr: Add, order: str | None = None) -> str:
        terms = list(self._as_ordered_terms(expr, order=order))
        if terms[0].could_extract_minus_sign():
            first = next((term for term in terms if not term.could_extract_minus_sign()), terms[0])
            terms.remove(first)
            terms.insert(0, first)
        tex = ""
        for term in terms:
            printed = self._print(term)
            if isinstance(term, sp.Piecewise | Add):
                printed = rf"\left({printed}\right)"
            negative = printed.startswith("-")
            tex += (" - " if tex else "- ") if negative else (" + " if tex else "")
            tex += printed[1:].strip() if negative else printed
        return tex

    def _print_log(self, expr: Expr, exp: str | None = None) -> str:
        argument = expr.args[0]
        tex = self._print(argument)
        name = r"\log" if exp is None else rf"\log^{{{exp}}}"
        bare = argument.is_Symbol or (tex.startswith(r"\frac{") and _is_plain_quotient(argument))
        return rf"{name} {tex}" if bare else rf"{name}\left({tex}\right)"

    def _enclosed(self, expr: Expr) -> str:
        tex = self._print(expr)
        simple = expr.is_Atom or isinstance(expr, Total | Expectation | sg | K | DK | log | sp.exp)
        return str(tex) if simple and not tex.startswith("-") else rf"\left({tex}\right)"

    def _print_Subs(self, expr: sp.Subs) -> str:
        at = ", ".join(f"{self._print(v)} = {self._print(x)}" for v, x in zip(expr.variables, expr.point, strict=True))
        return rf"\left. {self._print(expr.expr)} \right|_{{{at}}}"

    def _print_Total(self, expr: Total) -> str:
        body = expr.args[0]
        tex = self._print(body)
        bracketed = isinstance(body, Add) or tex.startswith("-")
        return rf"\sum_{{a}} \left({tex}\right)" if bracketed else rf"\sum_{{a}} {tex}"

    def _print_Nabla(self, expr: Nabla) -> str:
        return rf"\nabla {self._enclosed(expr.args[0])}"

    def _print_Expectation(self, expr: Expectation, exp: str | None = None) -> str:
        who, body = expr.args
        drawn = rf"{self._print(who[0])} \sim {self._print(who[1])}" if isinstance(who, sp.Tuple) else ""
        where = drawn or rf"a \sim {self._print(who)}"
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\mathbb{{E}}_{{{where}}}\left[{self._print(body)}\right]{power}"

    def _call(self, name: str, expr: Expr, exp: str | None) -> str:
        tex = rf"{name}\left({self._print(expr.args[0])}\right)"
        return tex if exp is None else rf"{tex}^{{{exp}}}"

    def _print_sg(self, expr: sg, exp: str | None = None) -> str:
        return self._call(r"\operatorname{sg}", expr, exp)

    def _print_K(self, expr: K, exp: str | None = None) -> str:
        return self._call("k", expr, exp)

    def _print_DK(self, expr: DK, exp: str | None = None) -> str:
        return self._call("k'", expr, exp)
