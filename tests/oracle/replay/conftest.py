"""Every planted fault judged once, its failures saved; the twins beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from oracle.case import Options
from oracle.checks import CHECKS
from oracle.claims import parse_claim
from oracle.judge import judge_target
from oracle.records import Finding, Verdict
from oracle.replay.cases import SavedCase, load
from oracle.subject.target import resolve
from tests.oracle.replay.faults import HEAD, PLANTED, Planted


@dataclass(frozen=True)
class Judged:
    """Three folders, and what was found in the first: name of the fault to its verdict."""

    faults: Path
    twins: Path
    cases: Path
    verdicts: dict[str, Verdict]

    def finding(self, planted: Planted) -> Finding:
        """What the check that must fail answered."""
        return next(f for f in self.verdicts[planted.name].findings if f.check == planted.check)

    def saved(self, planted: Planted) -> SavedCase:
        """The case of that failure."""
        return load(str(self.finding(planted).id), self.cases)


def judge_planted(planted: Planted, cases: Path | None) -> Verdict:
    """The verdict on the function of that name in code.py of the working directory."""
    (target,) = resolve(f"code.py:{planted.name}")
    claims = [parse_claim(planted.claim)] if planted.claim else []
    options = Options(max_examples=1, cases=None if cases is None else str(cases))
    asked = {c: CHECKS[c] for c in CHECKS if c == planted.check}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("oracle.judge.CHECKS", asked)  # the others are asked by their own tests
        found = judge_target(target, *planted.options, planted.placement, options, claims)  # type: ignore[arg-type]
    return found[0]


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Judged once for all the processes of a run: the verdicts are kept in a file beside the folders."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of this run, and of all its processes
    root = base / "replay"
    kept = root / "verdicts"
    with FileLock(base / "replay.lock"):
        if not kept.exists():
            kept.write_bytes(msgspec.msgpack.encode(_judge_all(root)))
    verdicts = msgspec.msgpack.decode(kept.read_bytes(), type=dict[str, Verdict])
    return Judged(root / "faults", root / "twins", root / "cases", verdicts)


def _judge_all(root: Path) -> dict[str, Verdict]:
    for name in ("faults", "twins", "cases"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "faults" / "code.py").write_text(HEAD + "\n".join(p.fault for p in PLANTED))
    (root / "twins" / "code.py").write_text(HEAD + "\n".join(p.twin for p in PLANTED))
    before = Path.cwd()
    os.chdir(root / "faults")
    try:
        return {p.name: judge_planted(p, root / "cases") for p in PLANTED}
    finally:
        os.chdir(before)


@pytest.fixture(autouse=True)
def _beside_the_faults(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test that has them runs in their folder, and only as long as it runs."""
    if "judged" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("judged").faults)
