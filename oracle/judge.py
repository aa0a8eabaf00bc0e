"""Judge: examine a subject at each placement, ask the checks, hold claims against it, and write the verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from oracle.case import Case, Options
from oracle.checks import CHECKS
from oracle.claims import distinct, hold_all
from oracle.errors import OracleError, SubjectError
from oracle.examine import examine
from oracle.records import Finding, SubjectRecord, Verdict
from oracle.subject.binding import Binding, bind
from oracle.subject.guard import restored
from oracle.subject.subject import Placement, Subject, open_subject
from oracle.subject.target import Target

if TYPE_CHECKING:
    from oracle.claims import Claim


def judge_target(
    target: Target,
    roles: Sequence[str] = (),
    settings: Sequence[str] = (),
    placement: Placement | None = None,
    options: Options | None = None,
    claims: Sequence[Claim] = (),
    demanded: bool = False,
) -> list[Verdict]:
    """All verdicts on one callable; ``demanded`` makes its outcome conforms or violates even without a claim.

    Raises OracleError where the callable cannot be bound or called.
    """
    return judge_binding(target, bind(target.function, roles, settings), placement, options, claims, demanded)


def judge_binding(
    target: Target,
    binding: Binding,
    placement: Placement | None = None,
    options: Options | None = None,
    claims: Sequence[Claim] = (),
    demanded: bool = False,
) -> list[Verdict]:
    """All verdicts on one bound callable, loss first."""
    with quiet():
        subject = open_subject(target, binding)
        standing = {p: _standing(subject, p, placement, claims) for p in _placements(subject, placement, claims)}
        for claim in claims:
            if not any(claim in held for held in standing.values()):
                raise SubjectError(_unheld(subject, placement, claim))
        return [judge(subject, p, options or Options(), held, demanded) for p, held in standing.items()]


def _placements(subject: Subject, asked: Placement | None, claims: Sequence[Claim]) -> Iterator[Placement]:
    # a claim that names no placement means the loss, where a penalty could stand in both
    claimed = {c.placement or "loss" for c in claims}
    for p in subject.placements:
        if asked is not None and p not in (asked, "whole"):
            continue
        if claimed and asked is None and len(subject.placements) > 1 and p not in claimed:
            continue
        yield p
    if asked is not None and asked not in subject.placements and subject.placements != ("whole",):
        raise SubjectError(f"{subject.target.name} is a shaped reward; it can only be judged with --placement reward")


def _standing(subject: Subject, placement: Placement, asked: Placement | None, claims: Sequence[Claim]) -> list[Claim]:
    """The claims that are about the subject at this placement; one that names none is about all that was asked for."""
    anywhere = placement in ("whole", "loss") or asked is not None or len(subject.placements) == 1
    return [c for c in claims if placement == "whole" or c.placement == placement or (c.placement is None and anywhere)]


def _unheld(subject: Subject, asked: Placement | None, claim: Claim) -> str:
    """A claim that is about nothing that is judged must not count as one that holds."""
    name = subject.target.name
    if claim.placement == "both":
        return f"the claim {claim.text!r} is about a whole loss; {name} is a penalty, which stands in one place"
    if asked is not None:
        return f"the claim {claim.text!r} is not about --placement {asked}; leave the placement out, or mend the claim"
    return f"the claim {claim.text!r} is about a {claim.placement}; {name} can only be judged in reward"


class _one_thread:
    """Small tensors run slower on many threads; the count comes back afterwards."""

    def __enter__(self) -> None:
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: Any) -> None:
        torch.set_num_threads(self.threads)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What runs inside leaves the process as it was, and runs on one thread."""
    with restored(), _one_thread():
        yield


def judge(
    subject: Subject, placement: Placement, options: Options, claims: Sequence[Claim] = (), demanded: bool = False
) -> Verdict:
    """One verdict, the claims held. Raises SubjectError where the callable raises on a batch of another shape, and
    ClaimError where claims contradict each other on it."""
    case = examine(subject, placement, options)
    findings = [_ask(case, c) for c in CHECKS]
    held = list(claims)
    findings = [_allowed(f, held) for f in findings] + (hold_all(held, case) if held else [])
    if any(f.outcome == "fail" and f.severity != "note" for f in findings):
        from oracle.replay.keep import kept  # what passes has no need of it

        findings = kept(case, findings, distinct(held))
    findings += [_defect(d) for d in case.disagreements]
    extra: dict[str, Any] = {}
    if case.with_returns is not None:
        extra["with_returns"] = case.with_returns
    path = [*subject.notes, *case.path]
    if any(f.check == "batch.coupling" and f.outcome == "fail" for f in findings):
        path.append("named as in a batch of very many sequences; in a small one the mean gradient is another")
    if path:
        extra["path"] = path
    if case.unread is not None:
        extra["unread"] = case.unread
    if held:
        extra["claims"] = [c.text for c in held]
    return Verdict(
        subject=record_of(subject, placement),
        on_policy=case.on_policy,
        off_policy=case.off_policy,
        depends_on_reference=case.depends_on_reference,
        aggregation=case.aggregation.name if case.aggregation else None,  # type: ignore[arg-type]
        findings=findings,
        outcome=outcome_of(findings, bool(held) or demanded),
        **extra,
    )


def record_of(subject: Subject, placement: Placement) -> SubjectRecord:
    """What was judged, as the verdict shows it."""
    settings = {n: v for n, v in subject.binding.settings.items() if isinstance(v, (str, int, float, bool))}
    extra: dict[str, Any] = {"settings": settings} if settings else {}
    return SubjectRecord(
        target=subject.target.name,
        kind=subject.kind,
        placement=placement,
        roles=subject.roles(),
        sha256=subject.target.sha256,
        **extra,
    )


def _ask(case: Case, check: str) -> Finding:
    try:
        return CHECKS[check](case)
    except SubjectError as error:
        return Finding(
            check=check,
            outcome="inconclusive",
            severity="note",
            message=f"the subject could not be run for this check: {error}",
            evidence="tested",
        )


def _allowed(finding: Finding, claims: Sequence[Claim]) -> Finding:
    """A failure that a claim says itself is expected (k1 as loss does not depend on the reference)."""
    reason = next((r for c in claims if (r := c.implies_failure(finding.check)) is not None), None)
    if finding.outcome != "fail" or reason is None:
        return finding
    return Finding(
        check=finding.check,
        outcome="expected-fail",
        severity="note",
        message=f"{finding.message} (expected: {reason})",
        evidence=finding.evidence,
        counterexample=finding.counterexample,
        theorems=finding.theorems,
    )


def _defect(text: str) -> Finding:
    return Finding(
        check="reading.probing",
        outcome="inconclusive",
        severity="error",
        message=f"reading and probing disagree, which is a defect of kl-oracle: {text}",
        evidence="tested",
        remedy="please report it with the function; trust neither side until it is mended",
    )


def outcome_of(
    findings: Sequence[Finding], claimed: bool
) -> Literal["conforms", "violates", "described", "inconclusive"]:
    """What the findings come to; ``claimed`` where something was held against the subject."""
    if any(f.check == "reading.probing" for f in findings):
        return "inconclusive"
    if not claimed:
        return "described"
    if any(f.outcome == "fail" and f.severity == "error" for f in findings):
        return "violates"
    if any(f.outcome == "inconclusive" and f.severity == "error" for f in findings):
        return "inconclusive"
    return "conforms"


def failed_to_run(name: str, error: OracleError) -> Verdict:
    """The verdict of a target that could not be judged."""
    return Verdict(
        subject=SubjectRecord(target=name, kind=None, placement=None, roles={}, sha256=None),
        on_policy=None,
        off_policy=None,
        depends_on_reference=None,
        aggregation=None,
        findings=[],
        outcome="inconclusive",
        error=str(error),
    )
