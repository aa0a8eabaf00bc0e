"""What the documents say is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from oracle.checks import CHECKS
from oracle.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_readme_lists_every_check_with_its_severity() -> None:
    listed = dict(re.findall(r"^\| `([a-z_]+\.?[a-z_]*)` \| .* \| (error|warning|note) \|$", README, re.M))
    assert listed == {c.id: c.severity for c in CHECKS.values()}


@pytest.mark.parametrize("package", ["proofs", "oracle"])
def test_map_names_every_module(package: str) -> None:
    parts = [
        p for p in (ROOT / package).iterdir() if p.suffix == ".py" or (p.is_dir() and (p / "__init__.py").is_file())
    ]
    names = {p.stem for p in parts} - {"__init__", "api", "cli", "errors", "schemas"}
    assert not [n for n in sorted(names) if not re.search(rf"\b{n}\b", MAP)]


def test_readme_commands_exist() -> None:
    for command in re.findall(r"^\| `kl-oracle (\w+)", README, re.M):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_readme_example_is_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = CliRunner().invoke(main, ["identify", "examples/losses.py:grpo", "examples/losses.py:grpo_corrected"]).output
    shown = [line.strip() for line in README.splitlines() if re.match(r"    +(on-policy|off-policy|examples/)", line)]
    assert len(shown) == 6
    printed = [" ".join(line.split()) for line in out.splitlines()]
    assert [line for line in shown if " ".join(line.split()) not in printed] == []


def test_no_path_of_a_machine() -> None:
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        assert not re.search(r"/(work|root|home|tmp)/", (ROOT / name).read_text(encoding="utf-8"))
