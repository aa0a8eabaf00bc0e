"""A run goes on where it was stopped, saves what was judged wrongly, and says how many were read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from oracle.trust import run as runs
from oracle.trust.__main__ import main
from oracle.trust.grammar import program
from oracle.trust.judging import Outcome


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Programs are not judged but noted; the fifth is judged wrongly, and every third is only probed."""
    seen: list[int] = []

    def judge(drawn: object) -> Outcome:
        index: int = drawn.index  # type: ignore[attr-defined]
        seen.append(index)
        read = "" if index % 3 else "an operator it does not know"
        wrong = ["on-policy zero"] if index == 5 else []
        return Outcome(0, index, wrong=wrong, evidence="proved/proved" if not read else "tested/tested", unread=read)

    monkeypatch.setattr(runs, "judged", judge)
    return seen


def test_a_run_goes_on_where_it_was_stopped(asked: list[int], tmp_path: Path) -> None:
    runs.run(0, 4, 1, tmp_path, lambda done: None)
    path = tmp_path / "seed-0.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + '{"seed": 0, "ind', encoding="utf-8")  # stopped while writing
    found = runs.run(0, 12, 1, tmp_path, lambda done: None)
    assert asked == list(range(12))
    assert [o["index"] for o in found] == list(range(12))
    assert [o["index"] for o in runs.run(0, 3, 1, tmp_path, lambda done: None)] == [0, 1, 2]


def test_what_was_judged_wrongly_is_saved(asked: list[int], tmp_path: Path) -> None:
    runs.run(0, 7, 1, tmp_path, lambda done: None)
    (saved,) = tmp_path.glob("program-*.py")
    text = saved.read_text(encoding="utf-8")
    assert text.startswith("# on-policy zero\n# due: Known(")
    assert text.endswith(program(0, 5).source)
    compile(text, str(saved), "exec")


def test_command_counts_and_exits(asked: list[int], tmp_path: Path) -> None:
    good = CliRunner().invoke(main, ["--count", "5", "--jobs", "1", "--folder", str(tmp_path)])
    assert good.exit_code == 0, good.output
    bad = CliRunner().invoke(main, ["--count", "7", "--jobs", "1", "--folder", str(tmp_path)])
    assert bad.exit_code == 1
    assert "wrong verdicts                  1" in bad.output
    assert "read as a formula               4" in bad.output
    assert "3  an operator it does not know" in bad.output
