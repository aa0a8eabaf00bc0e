"""What the ledger calls wrong, and how a run is divided among processes."""

import pytest
from sympy import Integer, Symbol, expand

from proofs.engines.base import CannotExpress, TableEngine
from proofs.engines.registry import NAMES, UnknownEngine, engine, select
from proofs.ledger import Entry, Finding, Outcome, paths_by, run, wrong
from proofs.prove import UnknownTheorem, chosen, everything, prove
from proofs.statements import Identity
from proofs.theorem import Theorem

TRUE = Theorem("one", "One is one.", Identity(Integer(1), Integer(1)), (), "", "")
OPEN = Finding(Outcome.INCONCLUSIVE, detail="no answer")
FALSE = Theorem("two", "One is two.", Identity(Integer(1), Integer(2)), (), "", "", holds=False)
PROVED, REFUTED, TESTED, NOTHING, ABSENT = (
    Finding(o) for o in (Outcome.PROVED, Outcome.REFUTED, Outcome.TESTED, Outcome.UNSUPPORTED, Outcome.NOT_INSTALLED)
)


def entries(theorem, *found):
    """One entry for each finding, of an engine and a path; engines a and A share a path."""
    return [Entry(theorem, name, finding, 0.0, name.lower()) for name, finding in found]


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ([("a", PROVED), ("b", PROVED)], None),
        ([("a", PROVED), ("A", PROVED)], "one: proved on 1 independent paths, and needs 2"),
        ([("a", PROVED), ("b", TESTED)], "one: proved on 1 independent paths, and needs 2"),
        ([("a", PROVED), ("b", PROVED), ("c", REFUTED)], "one: refuted by c"),
        ([("a", PROVED), ("b", ABSENT)], None),
        ([("a", NOTHING), ("b", NOTHING)], "one: proved on 0 independent paths, and needs 2"),
    ],
)
def test_a_theorem_needs_two_paths_and_no_refutation(found, complaint):
    assert wrong(entries(TRUE, *found)) == ([] if complaint is None else [complaint])


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ([("a", REFUTED), ("b", NOTHING)], None),
        ([("a", REFUTED), ("b", PROVED)], "two: a false statement, proved by b"),
        ([("a", TESTED), ("b", NOTHING)], "two: a false statement, refuted by no engine"),
        ([("a", NOTHING), ("b", ABSENT)], None),
    ],
)
def test_a_false_statement_needs_a_refutation_and_no_proof(found, complaint):
    assert wrong(entries(FALSE, *found)) == ([] if complaint is None else [complaint])


def test_of_a_part_of_the_engines_only_contradictions_count():
    assert wrong(entries(TRUE, ("a", NOTHING)), 0) == []
    assert wrong(entries(FALSE, ("a", NOTHING)), 0) == []
    assert wrong(entries(TRUE, ("a", OPEN)), 0) == ["one: left open by a"]
    assert wrong(entries(TRUE, ("a", OPEN), ("b", PROVED)), 0) == []
    assert wrong(entries(FALSE, ("a", OPEN)), 0) == []
    assert wrong(entries(TRUE, ("a", REFUTED)), 0) == ["one: refuted by a"]
    assert wrong(entries(FALSE, ("a", PROVED)), 0) == ["two: a false statement, proved by a"]


def test_both_solvers_are_one_path():
    found = [Entry(TRUE, name, PROVED, 0.0, engine(name).path) for name in ("z3", "cvc5")]
    assert paths_by(found, Outcome.PROVED) == {"one": {"smt"}}
    assert len({engine(name).path for name in NAMES}) == len(NAMES) - 1


def _never_ends(_):
    x = Symbol("x")
    for n in range(10**6):
        expand((x + 1) ** (n % 40))
    return PROVED


def _refuse(_):
    raise CannotExpress("no word for it")


def test_an_engine_that_hangs_or_has_no_word_says_so():
    slow = TableEngine("slow", "", {Identity: _never_ends}, seconds=0.2)
    silent = TableEngine("silent", "", {Identity: _refuse})
    empty = TableEngine("empty", "", {})
    absent = TableEngine("absent", "", {Identity: _never_ends}, absent=lambda: "pip install it")
    heard = []
    found = {e.engine: e.finding for e in run([TRUE], [silent, empty, absent], heard.append)}
    assert found["silent"] == Finding(Outcome.UNSUPPORTED, detail="no word for it")
    assert found["empty"].outcome is Outcome.UNSUPPORTED
    assert found["absent"] == Finding(Outcome.NOT_INSTALLED, detail="pip install it")
    assert heard == ["silent: one", "empty: one", "absent: one"]
    assert slow.check(TRUE) == Finding(Outcome.INCONCLUSIVE, detail="no answer within 0.2 s")


def test_processes_find_what_one_process_finds():
    theorems = [t for t in everything() if t.id.startswith(("k3-", "false.k1"))]
    engines = ("sympy", "explicit", "z3")
    seen = []
    together = prove(theorems, engines, 2, watch=lambda done, every: seen.append((done, every)))
    alone = prove(theorems, engines, 1)
    assert [(e.engine, e.theorem.id) for e in together] == [(n, t.id) for n in engines for t in theorems]
    assert [e.finding for e in together] == [e.finding for e in alone]
    assert seen[-1] == (len(together), len(together))
    assert len(seen) > 1


def test_theorems_are_chosen_by_id_or_pattern():
    assert chosen(()) == everything()
    assert [t.id for t in chosen(("k3-value",))] == ["k3-value"]
    picked = chosen(("sequence.*", "completeness"))
    assert {t.family for t in picked} == {"lemmas", "sequences"}
    with pytest.raises(UnknownTheorem, match=r"no theorem is called 'k3-valu': did you mean k3-value"):
        chosen(("k3-value", "k3-valu"))
    with pytest.raises(UnknownTheorem, match="`kl-oracle prove` lists them"):
        chosen(("&&&",))


def test_engines_are_selected_in_the_order_of_the_ledger():
    assert select() == NAMES
    assert select(("z3", "sympy")) == ("sympy", "z3")
    assert "balls" not in select((), ("balls",))
    assert set(NAMES) - set(select(few=True)) == {"coq"}
    assert select(("coq",), few=True) == ("coq",)
    with pytest.raises(UnknownEngine, match=r"no engine 'simpy'; did you mean 'sympy'\?"):
        select(("simpy",))
    with pytest.raises(UnknownEngine, match="the engines are sympy, "):
        select((), ("lean",))
    with pytest.raises(UnknownEngine, match="no engine is left"):
        select(("z3",), ("z3",))
