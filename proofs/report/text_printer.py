"""SymPy's text printer with the project's words, and formulas that were written in LaTeX as text."""

from __future__ import annotations

import re

import sympy as sp
from sympy import Mul
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from proofs.report.claims import NORMAL
from proofs.statements import DK, K, Total
from proofs.steps import Expectation, Nabla
from proofs.symbols import M, P, Q

_NAMES = {"KL": "KL(policy||reference)_", "KLref": "KL(reference||policy)_"}
_WHO = {P: "policy", Q: "reference", M: "sampler"}


class TheoremTextPrinter(StrPrinter):  # type: ignore[misc,unused-ignore]
    """SymPy's text with this project's words."""

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        numbered = re.fullmatch(r"(KL|KLref)(\d+)", expr.name)
        return _NAMES[numbered[1]] + numbered[2] if numbered else str(super()._print_Symbol(expr))

    def _print_Subs(self, expr: sp.Subs) -> str:
        at = ", ".join(f"{self._print(v)} = {self._print(x)}" for v, x in zip(expr.variables, expr.point, strict=True))
        return f"{self._print(expr.expr)} at {at}"

    def _print_Total(self, expr: Total) -> str:
        return f"sum_a({self._print(expr.args[0])})"

    def _print_Nabla(self, expr: Nabla) -> str:
        return f"grad({self._print(expr.args[0])})"

    def _print_Expectation(self, expr: Expectation) -> str:
        who, body = expr.args
        if isinstance(who, sp.Tuple):
            drawn = "N(0, 1)" if who[1] == NORMAL else _WHO.get(who[1], self._print(who[1]))
            return f"E_{{{self._print(who[0])} ~ {drawn}}}[{self._print(body)}]"
        return f"E_{_WHO.get(who, self._print(who))}[{self._print(body)}]"

    def _print_K(self, expr: K) -> str:
        return f"k({self._print(expr.args[0])})"

    def _print_DK(self, expr: DK) -> str:
        return f"k'({self._print(expr.args[0])})"

    def _print_Mul(self, expr: Mul) -> str:
        if any(isinstance(factor, Nabla) for factor in expr.args):
            return "*".join(self.parenthesize(factor, PRECEDENCE["Mul"]) for factor in expr.args)
        return str(super()._print_Mul(expr))


_SIGNS = {
    r"\pi_{\mathrm{ref}": "{ref",
    r"\mathbb{E}": "E",
    r"\pi": "pi",
    r"\nabla": "grad",
    r"\forall": "for all",
    r"\Rightarrow": "=>",
    r"\iff": "<=>",
    r"\chi": "chi",
    r"\ell": "l",
    r"\delta": "delta",
    r"\partial": "d",
    r"\|": "||",
    r"\ne": "!=",
    r"\sum": "sum",
    r"\log": "log ",
    r"\in": " in ",
}


def plain_formula(latex: str) -> str:
    """Return a formula that was written in LaTeX as plain text, sign by sign; for screens and screen readers."""
    text = re.sub(r"(?<=[A-Za-z0-9])\\log", r" \\log", latex)
    for sizing in (r"\Bigl", r"\Bigr", r"\bigl", r"\bigr", r"\left", r"\right", r"\Big", r"\big", r"\textstyle"):
        text = re.sub(re.escape(sizing) + r"(?![A-Za-z])", "", text)
    text = re.sub(r"\\[,;:! ]", " ", text)
    text = re.sub(r"\\(?:mathrm|text|operatorname|mathcal)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\t?frac\s*\{([^{}]*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"(\1)/(\2)", text)
    text = re.sub(r"\\t?frac\s*(\w)\s*(\w)", r"(\1/\2)", text)
    for sign, words in sorted(_SIGNS.items(), key=lambda item: -len(item[0])):
        text = _replaced(text, sign, words)
    text = re.sub(r"\\([A-Za-z]+)", r"\1", text)
    text = text.replace("pi_{ref}", "ref").replace("{", "(").replace("}", ")")
    return re.sub(r"\s+", " ", text).strip()


def _replaced(text: str, sign: str, words: str) -> str:
    if not sign[-1].isalpha():
        return text.replace(sign, words)
    text = re.sub(re.escape(sign) + r"(?=\\|\s*[A-Za-z])(?![A-Za-z])", lambda _: f"{words} ", text)
    return re.sub(re.escape(sign) + r"(?![A-Za-z])", lambda _: words, text)
