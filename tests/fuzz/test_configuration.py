"""The configuration: any file gives subjects, or an error that says where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oracle.checks import CHECKS
from oracle.configuration import Configuration, find, load, settings_of
from oracle.errors import OracleError
from oracle.subject.binding import parse_value
from tests.fuzz.support import cases, drawn, mutated, one_message, wild

GOOD = """
[project]
name = "mine"

[[tool.kl-oracle.subjects]]
target = "src/losses.py:k3"
claims = ["k3 as loss", "forward_kl/token"]
placement = "loss"
roles = {base = "reference"}
set = {kl_penalty = "k3", scale = 0.5, many = [1, 2], on = true}
expected_failures = {"tail.finite" = "float16 on purpose"}

[[tool.kl-oracle.subjects]]
target = "src/losses.py:k2"
"""
KEYS = ("target", "claims", "placement", "roles", "set", "expected_failures", "subjects", "kl-oracle", "tool")
leaves = st.one_of(
    wild,
    mutated(("k3 as loss", "loss", "reward", "sign", "tail.finite", "claim")),
    st.integers(),
    st.floats(),
    st.booleans(),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(mutated(KEYS), wild), inner, max_size=3)
    ),
    max_leaves=6,
)
entries = st.dictionaries(st.one_of(st.sampled_from(KEYS), mutated(KEYS)), trees, max_size=4)


def toml(value: Any) -> str:
    """A value as TOML writes it in a line. A test's own, since the standard library only reads TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        escaped = (c if " " <= c <= "~" and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
        return '"' + "".join(escaped) + '"'
    return repr(value)


def read(path: Path) -> None:
    """Read it as the command does: found from its folder, then loaded."""
    cases["configuration"] += 1
    try:
        found = find(path.parent)
        configuration = load(found or path, CHECKS)
    except OracleError as error:
        one_message(str(error))
        return
    assert isinstance(configuration, Configuration)
    assert configuration.subjects
    for entry in configuration.subjects:
        assert isinstance(entry.target, str)
        assert set(entry.expected_failures) <= {*CHECKS, "claim"}
        for text, (name, value) in zip(settings_of(entry), entry.set.items(), strict=True):
            back = parse_value(text.removeprefix(f"{name}="))
            assert back == value or value != value  # a number that is not one equals nothing


@drawn(1500, 40)
@given(text=mutated((GOOD,)))
def test_texts(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "texts" / "pyproject.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read(path)


@drawn(2500, 60)
@given(subjects=st.one_of(st.lists(entries, max_size=2), trees))
def test_tables(tmp_path_factory: Any, subjects: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "tables" / "pyproject.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[tool.kl-oracle]\nsubjects = {toml(subjects)}\n", encoding="utf-8")
    read(path)


@drawn(1500, 40)
@given(changes=st.dictionaries(st.sampled_from(KEYS), trees, max_size=2))
def test_one_key_changed(tmp_path_factory: Any, changes: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "keys" / "pyproject.toml"
    path.parent.mkdir(exist_ok=True)
    entry = {"target": "a.py:f", "claims": ["k3 as loss"], **changes}
    path.write_text(f"[[tool.kl-oracle.subjects]]\n{''.join(f'{k} = {toml(v)}{chr(10)}' for k, v in entry.items())}")
    read(path)
