"""The whole catalogue through every engine but Coq: what the project's word "proved" rests on."""

from __future__ import annotations

from collections import Counter

import pytest

from proofs.engines.registry import NAMES, engine
from proofs.ledger import Outcome, paths_by, wrong
from proofs.prove import everything, prove
from proofs.theorems import catalogue, false_statements

ENGINES = tuple(name for name in NAMES if name != "coq")


@pytest.fixture(scope="module")
def entries():
    """Every engine's answer to every theorem and false statement; in this process, as others run beside it."""
    assert [name for name in ENGINES if engine(name).missing()] == []
    return prove(everything(), ENGINES, 1)


def test_ids_and_texts():
    theorems = everything()
    assert len(catalogue()) >= 60
    assert len(false_statements()) >= 25
    assert [name for name, count in Counter(t.id for t in theorems).items() if count > 1] == []
    for t in theorems:
        assert t.words.endswith("."), t.id
        assert t.family, t.id
        assert t.conditions, t.id
        assert t.source, t.id
        assert t.id.startswith("false.") is not t.holds, t.id


def test_nothing_is_wrong(entries):
    assert wrong(entries) == []


def test_the_prover_leaves_nothing_open(entries):
    found = Counter((e.theorem.holds, e.finding.outcome) for e in entries if e.engine == "sympy")
    assert found == {
        (True, Outcome.PROVED): len(catalogue()),
        (False, Outcome.REFUTED): len(false_statements()),
    }


def test_every_theorem_has_two_independent_proofs_without_the_solvers_counting_twice(entries):
    paths = paths_by(entries, Outcome.PROVED)
    assert {t.id for t in catalogue() if len(paths.get(t.id, ())) < 2} == set()


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_refuses_every_false_statement_that_it_can_express(entries, name):
    found = [e for e in entries if e.engine == name and not e.theorem.holds]
    accepted = {e.theorem.id for e in found if e.finding.outcome in (Outcome.PROVED, Outcome.TESTED)}
    assert accepted == set()
    assert sum(e.finding.outcome is Outcome.REFUTED for e in found) >= 25


def test_false_statements_are_refuted_on_two_paths_with_a_counterexample(entries):
    paths = paths_by(entries, Outcome.REFUTED)
    assert {t.id for t in false_statements() if len(paths.get(t.id, ())) < 2} == set()
    shown = {e.theorem.id for e in entries if e.finding.counterexample}
    assert {t.id for t in false_statements()} - shown == set()


def test_findings_say_for_what_they_hold(entries):
    for entry in entries:
        if entry.finding.outcome in (Outcome.PROVED, Outcome.TESTED):
            assert entry.finding.scope, (entry.engine, entry.theorem.id)
        if entry.finding.outcome is Outcome.INCONCLUSIVE:
            assert entry.finding.detail, (entry.engine, entry.theorem.id)
