"""What a notebook shows of theorems, derivations and verdicts."""

from html.parser import HTMLParser

from sympy import Integer

from proofs.derivation import derive
from proofs.divergences import OBJECTIVES
from proofs.estimators import K3, parse_estimator
from proofs.ledger import Entry, Finding, Outcome
from proofs.report.errors import ReportError
from proofs.report.jupyter import ledger_html
from proofs.statements import Identity
from proofs.symbols import L
from proofs.theorems import catalogue, false_statements
from tests.proofs.report.support import theorem
from tests.proofs.report.test_formats import Page

BAD = "<script>x</script>"


def tags(text):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: found.append(tag)
    parser.feed(text)
    return found


def test_a_theorem():
    one = next(t for t in catalogue() if t.id == "k3-loss.on-policy")
    assert one._repr_latex_().startswith(r"$\displaystyle \mathbb{E}_{a \sim \pi}")
    assert {"math", "code"} <= set(tags(one._repr_html_()))
    assert "KL(reference||policy)" in one._repr_html_()


def test_a_false_statement_says_so():
    false = theorem(Identity(L, Integer(0)), words=BAD, holds=False)
    shown = false._repr_html_()
    assert "false:" in shown
    assert "script" not in tags(shown)
    assert "false:" not in theorem(Identity(L, L))._repr_html_()


def test_a_derivation():
    k3 = derive(parse_estimator("k3"))
    assert k3._repr_latex_() == (
        r"$\displaystyle k = L - 1 + \mathrm{e}^{- L},\quad \nabla k = \left(1 - \mathrm{e}^{- L}\right) s,"
        r"\quad k\,s = \left(L - 1 + \mathrm{e}^{- L}\right) s$"
    )
    assert "KL(reference||policy)" in k3._repr_html_()
    assert tags(k3._repr_html_()).count("math") == 2


def test_estimators_and_objectives():
    assert K3._repr_latex_() == r"$\displaystyle \text{k3} = L - 1 + \mathrm{e}^{- L}$"
    shown = OBJECTIVES["forward_kl"]._repr_latex_()
    assert shown.startswith(r"$\displaystyle \text{forward\_kl},\quad f(u) = ")
    assert shown.endswith(r"c(L) = 1 - \mathrm{e}^{- L}$")
    assert shown.count("$") == 2


def test_without_mathml_a_notebook_shows_text(monkeypatch):
    def absent(*_):
        raise ReportError("latex2mathml is not installed")

    monkeypatch.setattr("proofs.report.jupyter.math", absent)
    assert "<code>" in derive(K3)._repr_html_()
    assert "math" not in tags(catalogue()[0]._repr_html_())


def test_every_theorem_renders():
    """MathML inside, every tag closed, the formula between dollars."""
    for one in (*catalogue(), *false_statements()):
        Page(one._repr_html_())
        assert "<math" in one._repr_html_()
        assert one._repr_latex_().count("$") == 2


def test_verdicts():
    finding = Finding(Outcome.REFUTED, "", BAD, {"p": "1/3"})
    entry = Entry(theorem(Identity(L, L)), "one", finding, 0.1)
    for shown in (finding._repr_html_(), entry._repr_html_(), ledger_html([entry])):
        assert "refuted" in shown
        assert "at p = 1/3" in shown
        assert "script" not in tags(shown)
    assert tags(ledger_html([entry, entry])).count("tr") == 2
