"""Claims beside each other: what implies what, what contradicts, and how the command says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oracle.claims import consistent, parse_claim
from oracle.claims.implication import contradiction, implies
from oracle.cli import main
from oracle.errors import ClaimError

CODE = """
def k2(logp, ref_logp):
    return (logp - ref_logp) ** 2 / 2
def k3(logp, ref_logp):
    return (ref_logp - logp).exp() - 1 - (ref_logp - logp)
def shaped(logp, ref_logp, rewards, beta):
    return rewards - beta * (logp - ref_logp)
"""


@pytest.mark.parametrize(
    ("one", "two", "back"),
    [
        # theory, master table: k2 as loss has the gradient of KL(policy||reference) on-policy, k3 with a live weight
        # on either side; k1 as loss has none
        ("k2 as loss", "reverse_kl/token", False),
        ("k3 as loss", "forward_kl", False),
        ("k1 as loss", "zero", False),
        ("k3 as loss, weight differentiated", "reverse_kl/token on- and off-policy", False),
        ("k3 as loss, weight detached", "forward_kl/token off-policy", False),
        ("k1 in reward, returns-to-go", "reverse_kl/sequence in reward", False),
        ("2*k2 as loss", "2 x reverse_kl", False),
        ("reverse_kl/token on- and off-policy", "reverse_kl", False),
        ("2 x reverse_kl/token", "KL(policy||reference)", False),
        ("k2 as loss, token-mean", "k2 as loss", False),
        ("k2 as loss, weight truncated at 2", "k2 as loss, weight detached", False),
        ("k2 as loss", "L^2/2 as loss", True),
        # where |log rho| < .09 a weight cut at 2 is the weight itself
        ("k2 as loss, weight truncated at 2", "reverse_kl/token on- and off-policy", False),
        ("0.5*k2 as loss", "0.5 x reverse_kl", False),
    ],
)
def test_implication(one: str, two: str, back: bool) -> None:
    a, b = parse_claim(one), parse_claim(two)
    assert implies(a, b)
    assert implies(b, a) is back
    assert contradiction(a, b) is None


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ("k3 as loss", "reverse_kl", "on-policy one says forward_kl and the other reverse_kl"),
        ("k3 as loss", "k2 as loss", "the coefficients of a token differ"),
        ("k2 as loss", "reverse_kl off-policy", "no objective with a name"),
        ("k2 as loss", "2 x reverse_kl", "scale 1 and the other 2"),
        ("reverse_kl/token", "reverse_kl/sequence", "token level"),
        ("-1 x reverse_kl", "reverse_kl", "ascended"),
        ("k1 as loss", "reverse_kl", "on-policy one says zero and the other reverse_kl"),
        ("1000*k2 as loss", "1000.05 x reverse_kl", None),
        ("1000*k2 as loss", "1001 x reverse_kl", "scale 1000 and the other 1001"),
        ("0.001*k2 as loss", "0.0011 x reverse_kl", "scale 0.001 and the other 0.0011"),
        ("0.5 x reverse_kl", "reverse_kl", None),
        # cut at 1.05 the weight is another in the mild regime: of what it descends nothing is proved
        ("k2 as loss, weight truncated at 1.05", "forward_kl off-policy", None),
        ("k2 as loss, weight truncated at 1.05", "reverse_kl", None),
        # with the weight of the prefix the expectation is over the policy's prefixes, and not the sampler's
        ("k2 as loss, weight prefix detached", "reverse_kl/token off-policy", "no objective with a name"),
        ("k2 as loss, weight prefix detached", "reverse_kl/token on-policy", None),
        # a geometric mean hears all tokens: that no objective fits is not proved
        ("k2 as loss, weight geometric detached", "reverse_kl off-policy", None),
        ("k2 as loss, sum", "reverse_kl", None),
        ("k2 as loss, sum", "k2 as loss, token-mean", "one aggregation"),
        ("reverse_kl", "forward_kl off-policy", None),
        ("k2 as loss, weight truncated at 2", "k2 as loss, weight truncated at 3", "differ"),
        # a penalty of one sign never meets the other threshold of PPO's surrogate: these two are one
        ("k3 in reward, weight clipped to .5..1.5", "k3 in reward, weight clipped to .5..2", None),
    ],
)
def test_contradiction(one: str, two: str, why: str | None) -> None:
    found = contradiction(parse_claim(one), parse_claim(two))
    assert (found is None) if why is None else (found is not None and why in found)
    assert not implies(parse_claim(one), parse_claim(two)) or why is None


def test_claims_of_two_placements_do_not_meet_before_there_is_a_subject() -> None:
    consistent([parse_claim("k3 as loss"), parse_claim("k1 in reward")])
    with pytest.raises(ClaimError, match="contradict"):
        consistent([parse_claim("k3 as loss"), parse_claim("k1 in reward")], "whole")


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *args: str) -> Result:
    (folder / "code.py").write_text(CODE)
    monkeypatch.chdir(folder)
    claims = [x for claim in args[1:] if not claim.startswith("-") for x in ("--claim", claim)]
    options = [x for x in args[1:] if x.startswith("-")]
    return CliRunner().invoke(main, ["check", args[0], *claims, *options, "--max-examples=2"])


def test_an_implied_claim_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    result = run(tmp_path, monkeypatch, "code.py:k2", "reverse_kl/token", "k2 as loss", "k2 as loss")
    assert result.exit_code == 0, result.output
    assert "'reverse_kl/token' is implied by 'k2 as loss', and holds" in result.stdout
    assert result.stdout.count("'k2 as loss' holds on every token") == 1


def test_a_failed_claim_names_what_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(tmp_path, monkeypatch, "code.py:k3", "reverse_kl", "--no-save")
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert "what holds: forward_kl/token" in said
    assert run(tmp_path, monkeypatch, "code.py:k3", "forward_kl/token").exit_code == 0


def test_a_failed_form_names_the_form_that_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(tmp_path, monkeypatch, "code.py:k3", "k2 as loss", "--no-save")
    assert result.exit_code == 1
    assert "what holds: k3 as loss" in " ".join(result.stdout.split())


def test_contradicting_claims_are_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(tmp_path, monkeypatch, "code.py:k2", "k3 as loss", "reverse_kl")
    assert result.exit_code == 2
    assert "contradict each other" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("target", "claim", "option"),
    [
        ("code.py:shaped", "k1 as loss", None),
        ("code.py:k2", "k2 as loss", "--placement=reward"),
        ("code.py:k2", "k2 as loss and in reward", None),
    ],
)
def test_a_claim_about_nothing_that_is_judged_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, claim: str, option: str | None
) -> None:
    result = run(tmp_path, monkeypatch, target, claim, *([option] if option else []))
    assert result.exit_code == 2
    assert "the claim" in result.stderr
