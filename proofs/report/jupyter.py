"""Theorems, derivations and verdicts as a notebook shows them."""

from __future__ import annotations

import html as escaping
import re
from collections.abc import Sequence

from proofs.derivation import Derivation
from proofs.divergences import Objective
from proofs.estimators import Estimator
from proofs.ledger import Entry, Finding
from proofs.report.catalogue import statement_formula
from proofs.report.content import Formula
from proofs.report.errors import ReportError
from proofs.report.html import math
from proofs.report.notation import expression_latex, latex_of
from proofs.report.terminal import objective_text
from proofs.theorem import Theorem

_SIGNS = {"_": r"\_", "(": "(", ")": ")", "+": "+", "-": "-", "*": "*", "/": "/", ".": ".", ",": ","}


def theorem_latex(theorem: Theorem) -> str:
    """Return the theorem's formula between dollars."""
    return rf"$\displaystyle {latex_of(theorem.statement)}$"


def theorem_html(theorem: Theorem) -> str:
    """Return id, words, formula, conditions and source."""
    false = "" if theorem.holds else "<strong>false:</strong> "
    return (
        f"<div><p><code>{_text(theorem.id)}</code></p><p>{false}{_text(theorem.words)}</p>"
        f"<p>{_math(statement_formula(theorem))}</p>"
        f"<p><small>{_text('; '.join(theorem.conditions))} ({_text(theorem.source)})</small></p></div>"
    )


def derivation_latex(derivation: Derivation) -> str:
    """Return the estimator and its two coefficients between dollars."""
    parts = (
        f"k = {expression_latex(derivation.estimator.value)}",
        rf"\nabla k = \left({expression_latex(derivation.as_loss.coefficient)}\right) s",
        rf"k\,s = \left({expression_latex(derivation.in_reward.coefficient)}\right) s",
    )
    return "$\\displaystyle " + ",\\quad ".join(parts) + "$"


def derivation_html(derivation: Derivation) -> str:
    """Return a table of both placements."""
    rows = []
    for title, side in (("as loss, E[grad k]", derivation.as_loss), ("in reward, E[k s]", derivation.in_reward)):
        coefficient = _math(Formula(expression_latex(side.coefficient), str(side.coefficient)))
        objective = _text(objective_text(side.naming))
        rows.append(f'<tr><th scope="row">{title}</th><td>{coefficient}</td><td>{objective}</td></tr>')
    head = '<tr><th scope="col">on-policy</th><th scope="col">coefficient of s</th><th scope="col">objective</th></tr>'
    caption = f"<caption>{_text(str(derivation.estimator))}</caption>"
    return f"<table>{caption}<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def objective_latex(objective: Objective) -> str:
    """Return generator and coefficient between dollars."""
    parts = (
        _name(objective.name),
        f"f(u) = {expression_latex(objective.generator)}",
        f"c(L) = {expression_latex(objective.coefficient)}",
    )
    return "$\\displaystyle " + ",\\quad ".join(parts) + "$"


def estimator_latex(estimator: Estimator) -> str:
    """Return the estimator's value between dollars."""
    return rf"$\displaystyle {_name(estimator.name)} = {expression_latex(estimator.value)}$"


def finding_html(finding: Finding) -> str:
    """Return the outcome, and for what it holds or where it fails."""
    at = ", ".join(f"{name} = {value}" for name, value in finding.counterexample.items())
    parts = (finding.scope, finding.detail, f"at {at}" if at else "")
    rest = _text("; ".join(part for part in parts if part))
    return f"<strong>{_text(str(finding.outcome))}</strong>" + (f" <small>{rest}</small>" if rest else "")


def entry_html(entry: Entry) -> str:
    """Return theorem, engine and finding."""
    return f"<p><code>{_text(entry.theorem.id)}</code> {_text(entry.engine)}: {finding_html(entry.finding)}</p>"


def ledger_html(entries: Sequence[Entry]) -> str:
    """Return a table, theorem by engine."""
    engines = list(dict.fromkeys(entry.engine for entry in entries))
    found = {(entry.theorem.id, entry.engine): finding_html(entry.finding) for entry in entries}
    head = "".join(f'<th scope="col">{_text(engine)}</th>' for engine in ("theorem", *engines))
    rows = []
    for name in dict.fromkeys(entry.theorem.id for entry in entries):
        cells = "".join(f"<td>{found.get((name, engine), '')}</td>" for engine in engines)
        rows.append(f'<tr><th scope="row"><code>{_text(name)}</code></th>{cells}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _math(formula: Formula) -> str:
    """MathML, or text where latex2mathml is not installed: a notebook takes no errors."""
    try:
        return math(formula)
    except ReportError:
        return f"<code>{_text(formula.text)}</code>"


def _name(name: str) -> str:
    """A name in a formula, in what both MathJax and KaTeX know."""
    return rf"\text{{{re.sub(r'[^A-Za-z0-9 ]', lambda sign: _SIGNS.get(sign[0], ' '), name)}}}"


def _text(text: str) -> str:
    return escaping.escape(text, quote=True)
