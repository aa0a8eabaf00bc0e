"""The command line: any arguments give exit status 0, 1 or 2, and never a traceback.

What takes long is stood in for: the judging of a subject, a derivation, the provers. Everything around it is real: the
options, the loader, the configuration, the claims, the reporters, which get verdicts with what a subject may have said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import oracle.isolation
import oracle.libraries
import oracle.running
import proofs.derivation
import proofs.prove
from oracle.cli import main
from oracle.configuration import load
from oracle.errors import OracleError, SubjectError
from oracle.judge import failed_to_run
from oracle.records import Finding, ObjectiveRecord, SubjectRecord, Verdict
from oracle.running import Request, judge_here
from oracle.subject.target import Target
from proofs.estimators import parse_estimator
from tests.fuzz.support import cases, drawn, mutated, one_answer, wild
from tests.fuzz.test_texts import CLAIMS, SUBJECTS, TARGETS, folder

__all__ = ["folder"]

NAMES = ("out.json", "out.txt", "folder", "no_such_folder.json", "x" * 300, ".", "", "a\nb", "good.py")
VALUES: dict[str, tuple[str, ...]] = {
    "--role": ("logp=policy", "ref_logp=referense", "a=b", "="),
    "--set": ("scale=1", "scale=" + "9" * 40, "scale=inf", "x=1", "="),
    "--placement": ("loss", "reward", "both"),
    "--format": ("text", "json", "yaml"),
    "--report": (*(f"json={n}" for n in NAMES), *(f"text={n}" for n in NAMES), "json", "pdf=out.pdf", "=", "md=out.md"),
    "--seed": ("0", "1", "-1", "9" * 30, "x", "1.5"),
    "--max-examples": ("1", "20", "0", "x"),
    "--timeout": ("1", "0", "-1", "nan", "inf", "1e400", "x"),
    "--memory": ("100", "0", "-1", "9" * 30, "x"),
    "--claim": CLAIMS,
    "--config": ("pyproject.toml", "no.toml", "folder", "good.py", "bad.toml"),
    "--engine": ("explicit", "sympi", "nope"),
    "--without": ("coq", "nope"),
    "--jobs": ("1", "0", "x"),
    "--cases": ("kept", "good.py", ""),
    "--nothing": ("x",),
}
FLAGS = ("--isolate", "--strict", "--help", "-h", "--version", "--", "-", "--no-save", "--isolated", "--form")
COMMANDS = ("identify", "check", "derive", "prove", "libraries", "replay", "audit")
EXPRESSIONS = ("k3", "exp(-L) - 1 + L", "clamp(k3, -10, 10)", "where(L > 0, k1, k2)", "L/0", "k9", "log(L)", "-L", "(")
THEOREMS = ("k3-loss.on-policy", "k3-*", "nope")


@st.composite
def options(draw: st.DrawFn, names: Sequence[str] = tuple(VALUES)) -> list[str]:
    """An option with a value, mostly one that it takes."""
    name = draw(st.sampled_from(names))
    return [name, draw(st.one_of(st.sampled_from(VALUES[name]), mutated(VALUES[name])))]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command with arguments that are nearly right."""
    command = draw(st.sampled_from((*COMMANDS, "identify", "check")))
    words = {"derive": EXPRESSIONS, "prove": THEOREMS, "libraries": ("verl", "nope"), "replay": ("0123", "x")}
    own = words.get(command, TARGETS)
    parts: list[list[str]] = draw(st.lists(mutated(own).map(lambda word: [word]), max_size=2))
    parts += draw(st.lists(st.one_of(options(), st.sampled_from(FLAGS).map(lambda flag: [flag])), max_size=3))
    if draw(st.integers(0, 9)) == 0:
        command = draw(st.one_of(mutated(COMMANDS), wild))
    return [command, *(word for part in draw(st.permutations(parts)) for word in part)]


def stand_in(draw: Callable[[], str]) -> Callable[..., list[Verdict]]:
    """Verdicts of each outcome, whose texts are drawn, as a subject's own message might be."""

    def judge(target: Target, roles: Any, settings: Any, placement: Any, *_: Any) -> list[Verdict]:
        said = draw()
        if len(said) % 5 == 4:
            raise SubjectError(f"{target.name} raised ValueError: {said}; mend it")
        side = ObjectiveRecord(objective="unnamed", level=None, scale=None, evidence="tested", formula=said)
        numbers = {said: float("nan"), "L": 1.0, "large": 10**30, "tokens": [said]}
        words: list[Any] = [("fail", "error"), ("pass", "note"), ("expected-fail", "note"), ("fail", "warning")]
        outcome, severity = words[len(said) % 4]
        finding = Finding(
            check="claim", outcome=outcome, severity=severity, message=said, evidence="tested",
            counterexample=numbers, remedy=said,
        )  # fmt: skip
        subject = SubjectRecord(
            target=target.name + said, kind="penalty", placement="loss", roles={said: said}, sha256=None,
            settings={said: said, "n": 10**30},
        )  # fmt: skip
        return [
            Verdict(
                subject=subject, on_policy=side, off_policy=side, depends_on_reference=True, aggregation="sum",
                findings=[finding], outcome="violates", path=[said], unread=said, claims=[said],
            )
        ]  # fmt: skip

    return judge


@pytest.fixture
def quick(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand-ins for what takes long; the list holds the text that the next verdicts say."""
    said = [""]
    k3 = proofs.derivation.derive(parse_estimator("k3"))

    def isolated(request: Request, limits: Any, hear: Callable[[str], None]) -> Iterator[Verdict]:
        hear(said[0])
        if len(said[0]) % 3 == 0:
            yield failed_to_run(request.target, OracleError(f"{request.target} crashed its process: {said[0]}"))
        yield from judge_here(request, hear)

    monkeypatch.setattr(oracle.running, "judge_target", stand_in(lambda: said[0]))
    monkeypatch.setattr(oracle.isolation, "judge_isolated", isolated)
    monkeypatch.setattr(oracle.libraries, "ENTRIES", oracle.libraries.ENTRIES[:1])
    monkeypatch.setattr(oracle.libraries, "judge_binding", lambda *_: [])
    monkeypatch.setattr(proofs.derivation, "derive", lambda _: k3)
    monkeypatch.setattr(proofs.prove, "prove", lambda *_: [])
    (folder / "pyproject.toml").write_text(
        '[[tool.kl-oracle.subjects]]\ntarget = "good.py:k2"\nexpected_failures = {claim = "why"}\n'
    )
    (folder / "bad.toml").write_text("[[tool.kl-oracle.subjects]]\ntraget = 1\n")
    return said


def run(args: list[str]) -> Result:
    cases["command line"] += 1
    return CliRunner().invoke(main, args)


@drawn(5000, 60)
@given(args=lines(), said=wild)
def test_arguments(quick: list[str], args: list[str], said: str) -> None:
    quick[0] = said
    (Path.cwd() / "good.py").write_text(SUBJECTS)  # a report may have been written over it
    one_answer(run(args))


@drawn(1500, 30)
@given(
    command=st.sampled_from(("identify", "check")),
    target=st.sampled_from(("good.py:k2", "good.py", "no.py:f", "raising.py:f")),
    more=st.lists(st.one_of(options(("--report", "--role", "--set")), st.just(["--isolate"])), max_size=1),
    said=wild,
)  # fmt: skip
def test_reports(quick: list[str], command: str, target: str, more: list[list[str]], said: str) -> None:
    quick[0] = said
    (Path.cwd() / "good.py").write_text(SUBJECTS)
    text = run([command, target, *(word for part in more for word in part)])
    one_answer(text)
    written = run([command, target, "--format", "json", *(word for part in more for word in part)])
    one_answer(written)
    if written.stdout:
        assert isinstance(json.loads(written.stdout), list)


@drawn(1000, 20)
@given(key=mutated(("claims", "roles", "set", "placement", "expected_failures")), value=wild, said=wild)
def test_configured(quick: list[str], key: str, value: str, said: str) -> None:
    quick[0] = said
    (Path.cwd() / "good.py").write_text(SUBJECTS)
    shape = {"claims": [value], "roles": {"logp": value}, "set": {"scale": value}, "placement": value}
    from tests.fuzz.test_configuration import toml

    entry = {"target": "good.py:k2", key: shape.get(key, {"claim": value})}
    path = Path.cwd() / "pyproject.toml"
    path.write_text("[[tool.kl-oracle.subjects]]\n" + "".join(f"{toml(k)} = {toml(v)}\n" for k, v in entry.items()))
    result = run(["check"])
    one_answer(result)
    try:
        load(path, ())
    except OracleError:
        assert result.exit_code == 2
