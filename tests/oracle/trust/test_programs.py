"""The grammar draws the same program for a number, knows its verdict, and a sample of programs is judged rightly."""

from __future__ import annotations

import dataclasses

import pytest

from oracle.trust.grammar import Program, program
from oracle.trust.judging import by_definition, judged, loaded
from oracle.trust.known import Side, token_level

SAMPLE = range(16)
MORE = range(16, 60)


def test_a_number_draws_one_program() -> None:
    assert program(3, 7) == program(3, 7)
    assert len({program(0, i).source for i in range(300)}) == 300


def test_every_shape_and_way_of_writing_is_drawn() -> None:
    drawn = {t for i in range(400) for t in program(0, i).traits}
    assert {"penalty loss", "penalty reward", "loss", "surrogate", "sequence", "returns"} <= drawn
    assert {"inline", "helper", "class", "function", "in place", "cast.float()"} <= drawn
    assert {"token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "sum", "constant"} <= drawn
    assert {"none", "detached", "differentiated"} <= drawn


@pytest.mark.parametrize(
    ("value", "placement", "correction", "on", "off"),
    [
        ("L", "loss", "none", Side("zero"), Side("unnamed")),
        ("L", "loss", "differentiated", Side("reverse_kl", "token", 1.0), Side("reverse_kl", "token", 1.0)),
        ("L**2/2", "loss", "differentiated", Side("unnamed"), Side("unnamed")),
        ("exp(-L) - 1 + L", "loss", "detached", Side("forward_kl", "token", 1.0), Side("forward_kl", "token", 1.0)),
        ("exp(-L) - 1 + L", "loss", "differentiated", *(Side("reverse_kl", "token", 1.0),) * 2),
        ("L", "reward", "none", Side("reverse_kl", "token", 1.0), Side("unnamed")),
    ],
)
def test_known_verdicts_are_those_of_the_master_table(
    value: str, placement: str, correction: str, on: Side, off: Side
) -> None:
    assert token_level(value, placement, correction, 1.0)[:2] == (on, off)


@pytest.mark.parametrize("index", MORE)
def test_known_verdicts_hold_by_definition(index: int) -> None:
    drawn = program(0, index)
    assert by_definition(drawn, loaded(drawn)[0]) == []


@pytest.mark.parametrize("index", SAMPLE)
def test_programs_are_judged_rightly(index: int) -> None:
    outcome = judged(program(0, index))
    assert outcome.known_is_wrong == []
    assert outcome.wrong == []
    assert outcome.disagreements == []


def falsified(drawn: Program) -> Program:
    """The program with another verdict called due."""
    side = dataclasses.replace(drawn.known.on, scale=2 * (drawn.known.on.scale or 1.0))
    return dataclasses.replace(drawn, known=dataclasses.replace(drawn.known, on=side))


def test_a_wrong_verdict_and_a_wrong_grammar_are_noticed() -> None:
    drawn = falsified(next(p for p in (program(0, i) for i in range(20)) if p.known.on.scale == 1.0))
    outcome = judged(drawn)
    assert any("on-policy" in text for text in outcome.wrong)
    assert any("by definition" in text for text in outcome.known_is_wrong)


def test_an_accusation_is_noticed() -> None:
    drawn = next(p for p in (program(0, i) for i in range(300)) if "sign" in p.known.fails)
    innocent = dataclasses.replace(drawn, known=dataclasses.replace(drawn.known, fails=frozenset()))
    assert any(text.startswith("accused by sign") for text in judged(innocent).wrong)
    guilty = dataclasses.replace(drawn, known=dataclasses.replace(drawn.known, fails=frozenset({"mask.leak"})))
    assert "not found: mask.leak" in judged(guilty).wrong


def test_a_program_that_torch_refuses_is_not_drawn() -> None:
    # torch.vmap over gaussian_nll_loss, which asks for its sign: drawn once in ten thousand
    drawn = program(1, 5259)
    assert "gaussian_nll_loss" in drawn.source
    assert "vmap" not in drawn.source
    assert judged(drawn).wrong == []
