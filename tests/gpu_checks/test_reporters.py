"""The four reports of an audit: each leads with what ran where, and hides no failure."""

from __future__ import annotations

import html
import json
import re

import msgspec
import pytest

from gpu_checks.audit.records import Audit, Cell, Check, Compiled, Fault, Tolerance
from gpu_checks.reporters import REPORTERS

PASSING = Check(check="columns", outcome="pass", message="all inside", ratio=0.417, where="row 3")
FAILING = Check(
    check="tails", outcome="fail", message="nan for 0 <b>", ratio=float("inf"), where="row 7", remedy="mend it"
)
NOTE = Check(check="tails", outcome="note", message="NaN where logits are -inf", remedy="mask otherwise")


def cell(**changes: object) -> Cell:
    usual = Cell(
        subject="own-kl",
        title="a kernel",
        claim="k3 as loss",
        backend="host",
        dtype="float32",
        vocabulary=131_072,
        state="EXECUTED_CPU_SAME_SOURCE",
        outcome="passes",
        checks=[PASSING],
        objective="forward_kl",
        sources={"token_kl.cu": "ab" * 32},
        versions={"numpy": "2.0"},
    )
    return msgspec.structs.replace(usual, **changes)


CELLS = [
    cell(),
    cell(subject="bad[red]-kernel", outcome="fails", checks=[PASSING, FAILING, NOTE]),
    cell(backend="cuda", state="NOT_RUN", outcome="not run", checks=[], reason="no CUDA driver answers"),
    cell(backend="cuda", dtype="bfloat16", state="EXECUTED_GPU"),
]
FAULTS = [
    Fault(
        name="sign",
        subject="own-kl",
        claim="k3 as loss",
        dtype="float32",
        vocabulary=5,
        outcome="caught",
        caught_by="coefficient",
        passes={"coarse": True},
    ),
    Fault(
        name="tail",
        subject="own-kl",
        claim="k3 as loss",
        dtype="float32",
        vocabulary=5,
        outcome="missed",
        passes={"coarse": False},
    ),
    Fault(name="ties", subject="own-kl", claim="k3 as loss", dtype="float32", vocabulary=5, outcome="neutral"),
]
COMPILED = [
    Compiled(kernel="token_kl", dtype="float32", architecture=a, compiler="nvrtc 13", registers=r, spills=s)
    for a, r, s in (("sm_80", 26, 0), ("sm_90", 28, 16))
] + [
    Compiled(
        kernel="token_kl",
        dtype="bfloat16",
        architecture="sm_80",
        compiler="nvcc",
        compiles=False,
        remarks=["does not compile: no such type"],
    )
]
AUDIT = Audit(
    version="9.9",
    cells=CELLS,
    faults=FAULTS,
    tolerances={"coarse": Tolerance("somebody's test", 5e-2, 5e-1, True)},
    compiled=COMPILED,
    absent=["nvcc is not installed: install the CUDA toolkit"],
)
HEADLINE = (
    "EXECUTED_GPU 1, EXECUTED_CPU_SAME_SOURCE 2, COMPILED_ONLY 3, NOT_RUN 1: 2 pass, 1 fail, 1 did not run, "
    "1 of 2 planted faults caught, 2 of 3 compile"
)


def plain(text: str) -> str:
    return " ".join(text.split())


def test_every_report_leads_with_what_ran_where() -> None:
    assert plain(REPORTERS["text"](AUDIT)).startswith(HEADLINE)
    page = REPORTERS["html"](AUDIT)
    assert re.search(r"<h1>(.*?)</h1>", page, re.S)[1] == HEADLINE  # type: ignore[index]
    assert json.loads(REPORTERS["sarif"](AUDIT))["runs"][0]["properties"]["summary"] == HEADLINE
    assert [c["state"] for c in json.loads(REPORTERS["json"](AUDIT))["cells"]] == [c.state for c in CELLS]


@pytest.mark.parametrize("kind", ["text", "html"])
def test_people_read_failures_reasons_faults_and_compilations(kind: str) -> None:
    text = REPORTERS[kind](AUDIT)
    if kind == "html":
        text = html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>", "", text, flags=re.S)))
    text = plain(text)
    for said in (
        "nan for 0",
        "mend it",
        "NaN where logits are -inf",
        "mask otherwise",
        "no CUDA driver answers",
        "1 of 2 planted faults are caught; 1 more change no result",
        "1 of 2 pass at atol 0.05, rtol 0.5 on values and gradients: somebody's test",
        "26 to 28",
        "0 to 16 B",
        "does not compile: no such type",
        "nvcc is not installed",
        "bad[red]-kernel",
    ):
        assert said in text, said


def test_the_page_escapes_what_it_shows_and_loads_nothing() -> None:
    page = REPORTERS["html"](AUDIT)
    assert "<b>" not in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)
    assert page.count("<table>") == page.count("</table>")


def test_json_is_read_back_as_it_was_written_but_for_infinity() -> None:
    text = REPORTERS["json"](AUDIT)
    assert "Infinity" not in text
    back = msgspec.json.decode(text, type=Audit)
    assert back.schema == "kl-oracle/audit/1"
    assert back.faults == FAULTS
    assert back.cells[0] == CELLS[0]
    assert back.cells[1].checks[1].ratio is None  # JSON has no infinity
    assert back.cells[1].outcome == "fails"


def test_sarif_has_a_result_for_each_failure_and_a_notification_for_what_did_not_run() -> None:
    """Validated by hand against the schema of OASIS, whose required members are asked for here."""
    log = json.loads(REPORTERS["sarif"](AUDIT))
    assert (log["version"], set(log) <= {"$schema", "version", "runs"}) == ("2.1.0", True)
    (run,) = log["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    (result,) = run["results"]
    assert result["ruleId"] in rules
    assert result["level"] == "error"
    assert "nan for 0 <b>. mend it" in result["message"]["text"]
    assert result["properties"]["ratio"] is None
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert "NOT_RUN" in notification["message"]["text"]


def test_every_check_of_the_audit_has_a_rule() -> None:
    from gpu_checks.audit.cell import CHECKS

    rules = {r["id"] for r in json.loads(REPORTERS["sarif"](AUDIT))["runs"][0]["tool"]["driver"]["rules"]}
    asked = {check.__name__.removeprefix("check_") for checks in CHECKS.values() for check in checks}
    assert asked <= rules


def test_an_audit_of_nothing_says_so() -> None:
    assert REPORTERS["text"](Audit(version="9.9", cells=[])).startswith("NOT_RUN")
