"""The loader and the claim parser: any text gives an answer or an error of kl-oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.claims import Claim, consistent, parse_claim
from oracle.errors import OracleError
from oracle.subject.binding import bind
from oracle.subject.target import Target, resolve
from tests.fuzz.support import cases, drawn, mutated, one_message, wild

SUBJECTS = """
import functools, torch
def k2(logp, ref_logp, scale=0.5):
    return scale * (logp - ref_logp) ** 2
half = functools.partial(k2, scale=0.5)
class Holder:
    def __init__(self, beta=0.1): self.beta = beta
    def loss(self, logp, ref_logp): return (logp - ref_logp).sum()
    @property
    def broken(self): raise RuntimeError("no")
holder = Holder()
number = 3
def __getattr__(name):
    if name.startswith("lazy"): raise RuntimeError("cannot be loaded")
    raise AttributeError(name)
"""
TARGETS = (
    "good.py:k2", "good.py", "good.py:k*", "good.py:[a-z]?", "good.py:Holder.loss", "good.py:Holder", "good.py:half",
    "good.py:holder.broken", "good.py:holder.loss", "good.py:number", "good.py:lazy_thing", "good.py:", ":", "", ".",
    "..", "./good.py:k2", "folder:f", "folder.py:f", "empty.py", "broken.py:f", "binary.py:f", "latin.py:f",
    "raising.py:f", "leaving.py:f", "good.txt:k2", "no.py:f", "math:hypot", "math", "json:dumps", "os.path:join",
    "os.nothing:f", "no_such_package.m:f", "good.py:k2:k2", "good.py:k2.x", "good.py:.k2", "good.py:k2.",
    "x" * 300, "x" * 300 + ".py:f", "d/" + "x" * 300 + "/f.py:f",
    "good.py:__class__", "good.py:__dict__", "torch:nothing", "torch.nn.functional:kl_div",
)  # fmt: skip
CLAIMS = (
    "k3 as loss", "k1 in reward", "k2 as loss, weight detached, seq-mean-token-mean", "exp(-L) - 1 + L as loss", "zero",
    "reverse_kl", "reverse_kl/token off-policy", "forward_kl/sequence on- and off-policy", "2 x total_variation",
    "KL(policy||reference)", "k3 as loss, weight sequence differentiated", "k2 as loss, weight truncated at 2",
    "k2 as loss, weight token detached clipped at 0.2", "k3 as loss and in reward", "-1/2 x chi2_half/token",
    "reverse_kl in reward with returns-to-go", "where(L > 0, k1, k2) as loss", "clamp(k3, -10, 10) as loss", "as loss",
    "k9 as loss", "1e999 x zero", "L**L**L as loss", "1/0 as loss", "9**9**9**9 as loss", "(((L))) as loss",
    "in reward", "k3 as loss,",
)  # fmt: skip


DEEP = ("scale=" + "[" * 10_000, "scale={[]: 1}", "scale=" + "-" * 100_000 + "1", "scale=" + "9" * 5000)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "good.py").write_text(SUBJECTS)
    (tmp_path / "good.txt").write_text(SUBJECTS)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "binary.py").write_bytes(b"\x00\xff\xfe")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\ndef f(logp, ref_logp): return logp\n")
    (tmp_path / "raising.py").write_text("raise RuntimeError('[bold]\x1b[31m')")
    (tmp_path / "leaving.py").write_text("raise SystemExit(4)")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@drawn(8000, 120)
@given(text=st.one_of(mutated(TARGETS), mutated(TARGETS), wild))
def test_targets(folder: Path, text: str) -> None:
    cases["targets"] += 1
    try:
        found = resolve(text)
    except OracleError as error:
        one_message(str(error))
    else:
        assert found
        assert all(isinstance(t, Target) and callable(t.function) for t in found)


@drawn(3000, 60)
@given(
    roles=st.lists(mutated(("logp=policy", "ref_logp=reference", "policy=logp", "scale=beta", "a=b", "=")), max_size=3),
    settings=st.lists(
        mutated(("scale=1", "scale=inf", "scale=[1, 2]", *DEEP, "scale=" + "9" * 30, "x=1", "=")), max_size=3
    ),
)
def test_roles_and_settings(roles: list[str], settings: list[str]) -> None:
    def k2(logp: object, ref_logp: object, scale: float = 0.5) -> object:
        return scale

    cases["roles and settings"] += 1
    try:
        binding = bind(k2, roles, settings)
    except OracleError as error:
        one_message(str(error))
    else:
        assert set(binding.roles.values()) <= {"logp", "ref_logp", "scale"}


@drawn(6000, 120)
@given(texts=st.lists(st.one_of(mutated(CLAIMS), mutated(CLAIMS), wild), min_size=1, max_size=2))
def test_claims(texts: list[str]) -> None:
    cases["claims"] += 1
    try:
        claims = [parse_claim(t) for t in texts]
        consistent(claims)
    except OracleError as error:
        one_message(str(error))
    else:
        assert all(isinstance(c, Claim) for c in claims)
