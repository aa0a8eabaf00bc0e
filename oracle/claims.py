"""Claims: what a caller says a subject is, in the language of forms or of objectives.

Forms are checked sample by sample: ``k3 as loss``, ``k1 in reward``, ``k3 as loss, weight differentiated``,
``k2 as loss, weight detached, seq-mean-token-mean``, ``exp(-L) - 1 + L as loss``.
Objectives are checked in expectation: ``reverse_kl``, ``reverse_kl/token``, ``reverse_kl/token off-policy``, ``zero``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from oracle.errors import ClaimError
from oracle.probing.aggregation import AGGREGATIONS
from oracle.records import Finding, ObjectiveRecord
from oracle.subject.subject import Placement

if TYPE_CHECKING:
    from oracle.case import Case

_WEIGHTS = {"none": "none", "no weight": "none", "unweighted": "none"}
_EXAMPLES = '"k3 as loss", "k2 as loss, weight detached", "reverse_kl/token off-policy"'


@dataclass(frozen=True)
class Claim:
    """One claim; ``form`` or ``objective`` is set."""

    text: str
    placement: Placement | None
    form: Any = None
    aggregation: str | None = None
    objective: str | None = None
    level: str | None = None
    sides: tuple[str, ...] = ("on-policy",)

    def hold(self, case: Case) -> Finding:
        """Hold the claim against a case."""
        if self.objective is not None:
            return _hold_objective(self, case)
        return _hold_form(self, case)

    def implies_failure(self, check: str) -> str | None:
        """Why a failing check is what the claim itself says; None where it is not."""
        from proofs.calculus import on_policy, sample_coefficient
        from proofs.symbols import L

        if check != "reference.dependence":
            return None
        if self.objective == "zero":
            return "a zero gradient was claimed"
        if self.form is not None and not on_policy(sample_coefficient(self.form)).has(L):
            return f"{self.text} has no reference in its gradient"
        return None


def parse_claim(text: str) -> Claim:
    """Parse a claim. Raises ClaimError with what was not understood and an example."""
    clean = " ".join(text.split())
    if not clean:
        raise ClaimError(f"an empty claim; write one such as {_EXAMPLES}")
    return _parse_form(clean) if re.search(r"\b(as loss|in reward)\b", clean) else _parse_objective(clean)


def _parse_form(text: str) -> Claim:
    from proofs.estimators import EstimatorError, parse_estimator
    from proofs.forms import Correction, Form
    from proofs.forms import Placement as FormPlacement

    match = re.match(r"(.+?) (as loss|in reward)\s*(?:,(.*))?$", text)
    if match is None:
        raise ClaimError(
            f"claim {text!r}: after 'as loss' or 'in reward' a comma starts the next part; for example {_EXAMPLES}"
        )
    try:
        estimator = parse_estimator(match[1])
    except EstimatorError as error:
        raise ClaimError(f"claim {text!r}: {error}") from error
    correction, aggregation = Correction.NONE, None
    for part in (p.strip() for p in (match[3] or "").split(",")):
        weight = part.removeprefix("weight ").strip()
        if part in AGGREGATIONS:
            aggregation = part
        elif weight in _WEIGHTS or weight in ("detached", "differentiated"):
            correction = Correction(_WEIGHTS.get(weight, weight))
        elif part:
            known = ["weight none", "weight detached", "weight differentiated", *AGGREGATIONS]
            close = get_close_matches(part, known, n=1)
            raise ClaimError(
                f"claim {text!r}: {part!r} is not understood; "
                + (f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}")
            )
    as_loss = match[2] == "as loss"
    form = Form(estimator, FormPlacement.LOSS if as_loss else FormPlacement.REWARD, correction)
    return Claim(text, "loss" if as_loss else "reward", form=form, aggregation=aggregation)


def _parse_objective(text: str) -> Claim:
    from proofs.divergences import OBJECTIVES

    match = re.fullmatch(
        r"([A-Za-z0-9_]+)(?:/(\w+))?(?: (on-policy|off-policy|on- and off-policy))?(?: (?:in|as) (reward|loss))?", text
    )
    names = [*OBJECTIVES, "zero"]
    name, level = (match[1], match[2]) if match else (text.split("/")[0].split(" ")[0], None)
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"a claim is a form or an objective, for example {_EXAMPLES}"
        raise ClaimError(f"claim {text!r}: {name!r} is not an objective; {hint}")
    if match is None or level not in (None, "token", "sequence"):
        raise ClaimError(
            f"claim {text!r}: write OBJECTIVE[/token|/sequence] [on-policy|off-policy], for example {_EXAMPLES}"
        )
    sides = {"off-policy": ("off-policy",), "on- and off-policy": ("on-policy", "off-policy")}.get(
        match[3] or "", ("on-policy",)
    )
    placement: Placement | None = None if match[4] is None else "loss" if match[4] == "loss" else "reward"
    return Claim(text, placement, objective=name, level=level, sides=sides)


def _finding(
    claim: Claim,
    holds: bool,
    message: str,
    evidence: Any,
    example: dict[str, Any] | None = None,
    theorems: Sequence[str] = (),
) -> Finding:
    extra: dict[str, Any] = {"theorems": list(theorems)} if theorems else {}
    return Finding(
        check="claim",
        outcome="pass" if holds else "fail",
        severity="note" if holds else "error",
        message=message,
        evidence=evidence,
        counterexample=example,
        **extra,
    )


def _hold_objective(claim: Claim, case: Case) -> Finding:
    records = {"on-policy": case.on_policy, "off-policy": case.off_policy}
    for side in claim.sides:
        record = records[side]
        assert record is not None
        wrong = _mismatch(claim, record)
        if wrong:
            return _finding(
                claim,
                False,
                f"claimed {claim.text!r}, but {side} {wrong}",
                record.evidence,
                {"formula": record.formula},
                record.theorems,
            )
    evidence = min(
        (r.evidence for s, r in records.items() if s in claim.sides and r is not None),
        key=["measured", "tested", "proved"].index,
    )
    theorems = dict.fromkeys(i for s in claim.sides if (r := records[s]) is not None for i in r.theorems)
    return _finding(claim, True, f"{claim.text!r} holds", evidence, theorems=list(theorems))


def _mismatch(claim: Claim, record: ObjectiveRecord) -> str | None:
    if record.objective != claim.objective:
        return f"the gradient is that of {record.objective}" + (f"/{record.level}" if record.level else "")
    if claim.level is not None and record.level is not None and record.level != claim.level:
        return f"the level is {record.level}"
    if record.scale is not None and record.scale < 0:
        return f"the scale is {record.scale:.4g}: descending the loss ascends the divergence"
    return None


def _hold_form(claim: Claim, case: Case) -> Finding:
    """Sample by sample: the signal of each token must be the form's, up to one scale (that of the aggregation)."""
    from proofs.calculus import sample_coefficient
    from proofs.lowering import compile_numpy
    from proofs.symbols import RHO, L

    if claim.aggregation is not None and (case.aggregation is None or case.aggregation.name != claim.aggregation):
        name = case.aggregation.name if case.aggregation else None
        return _finding(claim, False, f"claimed {claim.aggregation}, but the aggregation is {name}", "tested")
    batch, signal = case.mild_batch, case.mild_signal.coefficient.numpy()
    ratio, weight = (batch.policy - batch.reference).numpy(), np.exp((batch.policy - batch.sampler).numpy())
    expected = np.broadcast_to(compile_numpy(sample_coefficient(claim.form), [L, RHO])(ratio, weight), ratio.shape)
    scale = _scale(case, batch.shape)
    error = np.abs(signal - scale * expected)
    if not float(error.max()) <= max(1e-7, 10 * case.tolerance) * scale * max(float(np.abs(expected).max()), 1e-12):
        b, t = np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), error.shape)
        example = {
            "L": round(float(ratio[b, t]), 6),
            "rho": round(float(weight[b, t]), 6),
            "expected": float(f"{scale * expected[b, t]:.6g}"),
            "actual": float(f"{signal[b, t]:.6g}"),
        }
        formula = case.off_policy.formula if case.off_policy else None
        return _finding(
            claim,
            False,
            f"claimed {claim.text!r}, but the coefficient read is {formula}; see the counterexample",
            "tested",
            example,
            _rule(claim),
        )
    return _finding(claim, True, f"{claim.text!r} holds on every token", _proved(claim, case), theorems=_rule(claim))


def _rule(claim: Claim) -> tuple[str, ...]:
    """Why the claimed form has the gradient that it is held against: k as loss is k' in reward, on every sample."""
    from proofs.forms import Correction
    from proofs.forms import Placement as FormPlacement

    as_loss = claim.form.placement is FormPlacement.LOSS and claim.form.correction is not Correction.DIFFERENTIATED
    return ("any-loss-is-a-reward.sample",) if as_loss else ()


def _scale(case: Case, shape: tuple[int, int]) -> float:
    from oracle.enumeration import factor

    return float(factor(case, *shape))


def _proved(claim: Claim, case: Case) -> Any:
    """Proved where the formula read is the form's, for all real inputs."""
    import sympy as sp

    from proofs.calculus import sample_coefficient
    from proofs.symbols import RHO, L, token_symbols

    if case.field is None or case.field.coupled or case.field.raw:
        return "tested"
    g = sample_coefficient(claim.form)
    for t, c in enumerate(case.field.coefficients):
        ratio, weight = token_symbols(t)
        difference = sp.expand(
            sp.expand(c, power_exp=True) - sp.expand(g.xreplace({L: ratio, RHO: weight}), power_exp=True)
        )
        # a normaliser such as n + 1e-8 leaves dust in exact arithmetic
        if difference != 0 and any(abs(float(a)) > 1e-6 for a in difference.as_coefficients_dict().values()):
            return "tested"
    return "proved"
