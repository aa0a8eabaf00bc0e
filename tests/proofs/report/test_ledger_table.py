"""The ledger on a terminal: fits, explains its signs, counts what it shows."""

import io
import re

import pytest
from rich.console import Console

from proofs.ledger import Entry, Finding, Outcome
from proofs.report.ledger_table import PLAIN_SIGNS, SIGNS, print_ledger
from proofs.theorems import catalogue, false_statements
from tests.proofs.report.support import entries_for

THEOREMS = (*catalogue(), *false_statements())
MANY = tuple(f"engine{i}" for i in range(11))


def printed(width, engines, theorems=THEOREMS, encoding="utf-8", **options):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=stream, width=width, highlight=False, **options)
    print_ledger(theorems, entries_for(theorems, engines), console, {engines[0]: "the first of all"})
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("engines", [("sympy", "z3"), MANY])
def test_it_fits_and_every_theorem_has_its_line(width, engines):
    text = printed(width, engines)
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= width
    starts = [line.split()[0] for line in lines if line.split()]
    assert {theorem.id for theorem in THEOREMS} <= set(starts)


def test_letters_are_explained_where_names_do_not_fit():
    narrow, wide = printed(80, MANY), printed(200, MANY)
    assert narrow.splitlines()[0].split() == list("ABCDEFGHIJK")
    assert "K = engine10: " in narrow
    assert "A = engine0, the first of all: " in narrow
    assert wide.splitlines()[0].split() == list(MANY)


def test_the_columns_show_the_outcomes():
    theorems = THEOREMS[:40]
    entries = entries_for(theorems, ("one", "two"))
    found = {(e.theorem.id, e.engine): SIGNS[e.finding.outcome] for e in entries}
    text = printed(100, ("one", "two"), theorems)
    for theorem in theorems:
        line = next(line for line in text.splitlines() if line.split()[:1] == [theorem.id])
        assert line.split()[1:] == [found[theorem.id, "one"], found[theorem.id, "two"]]


def test_every_sign_is_explained_and_totals_are_those_of_the_column():
    text = printed(120, ("one", "two"))
    for outcome in Outcome:
        assert f"{SIGNS[outcome]} {outcome}: " in text
    proved = sum(
        e.finding.outcome is Outcome.PROVED for e in entries_for(THEOREMS, ("one", "two")) if e.engine == "two"
    )
    assert re.search(rf"two: {proved} proved", text)


def test_an_ascii_terminal_gets_ascii():
    text = printed(100, ("one", "two"), encoding="ascii")
    assert f"{PLAIN_SIGNS[Outcome.PROVED]} proved" in text


def test_a_false_statement_that_is_proved_is_red():
    false = false_statements()[0]
    colours = []
    for outcome in (Outcome.PROVED, Outcome.REFUTED):
        stream = io.StringIO()
        console = Console(file=stream, width=100, force_terminal=True, color_system="standard", highlight=False)
        print_ledger([false], [Entry(false, "one", Finding(outcome), 0.0)], console)
        line = next(line for line in stream.getvalue().splitlines() if false.id in line)
        colours.append("\x1b[1;31m" in line)
    assert colours == [True, False]
