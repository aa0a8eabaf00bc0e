"""Evidence held against the oracle again, on a CPU: recorded numbers have to lie inside bounds derived anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gpu_checks.audit.comparing import Worst, compare
from gpu_checks.bounds.sampled import expected, formula_of
from gpu_checks.bounds.tracked import Tracked
from gpu_checks.bounds.whole import expected_whole, formula_of_objective
from gpu_checks.evidence import ulps
from gpu_checks.evidence.observing import batch_of
from gpu_checks.evidence.records import Evidence, Observation
from gpu_checks.formats import FORMATS, Array
from gpu_checks.sampling import replay
from gpu_checks.subject import Subject
from gpu_checks.subjects import bundled
from oracle.errors import OracleError

_LARGEST = 2**22
"""The largest vocabulary that is audited."""


@dataclass
class Rederived:
    """`compared` numbers, the greatest error / bound of them, and a line for all that does not hold."""

    compared: int = 0
    worst: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything recorded is inside its bounds, and something was."""
        return self.compared > 0 and not self.problems


def rederive(evidence: Evidence, subjects: Mapping[str, Subject] | None = None) -> Rederived:
    """Compute what each recorded number has to be, with its bound, from the seed, and compare.

    Errors in ulps are computed again from the recorded input and value. Nothing is raised for evidence that does not
    hold or names what is not here: each is a problem in words. A cell that passes has to have an observation.
    """
    known = bundled() if subjects is None else subjects
    found = Rederived()
    for observation in evidence.observations:
        place = f"{observation.subject}, {observation.dtype}, V = {observation.vocabulary}"
        subject = known.get(observation.subject)
        if subject is None or observation.dtype not in FORMATS:
            found.problems.append(f"{place}: no such subject or format here")
            continue
        try:
            worst = _observed(subject, observation)
        except (ValueError, OracleError) as error:  # a claim, a column or a regime that does not exist
            found.problems.append(f"{place}: {error}")
            continue
        found.compared += worst.compared
        found.worst = max(found.worst, worst.ratio)
        if not worst.holds:
            found.problems.append(f"{place}: {worst.say()} ({worst.where})")
    seen = {(o.subject, o.dtype, o.vocabulary) for o in evidence.observations}
    for cell in evidence.cells:
        if cell.outcome == "passes" and (cell.subject, cell.dtype, cell.vocabulary) not in seen:
            found.problems.append(f"{cell.subject}, {cell.dtype}, V = {cell.vocabulary}: nothing of it was recorded")
    for measured in evidence.ulps:
        found.problems += ulps.problems(measured)
    return found


def _observed(subject: Subject, observation: Observation) -> Worst:
    if not 0 < observation.vocabulary <= _LARGEST:
        raise ValueError(f"a vocabulary is from 1 to {_LARGEST}")
    if subject.family == "sampler":
        return _draws(subject, observation)
    return _rows(subject, observation)


def _rows(subject: Subject, observation: Observation) -> Worst:
    batch, form, cost = batch_of(subject, observation), FORMATS[observation.dtype], subject.cost
    columns = np.array(observation.columns, np.int64)
    if not len(columns) or not (columns.min() >= 0 and columns.max() < observation.vocabulary):
        raise ValueError(f"columns have to be from 0 to {observation.vocabulary - 1}")
    if not len(batch.upstream) == len(observation.values) == len(observation.gradients):
        raise ValueError(f"{len(observation.values)} rows are recorded, {len(batch.upstream)} were run")
    if subject.returns_log_probability and len(observation.log_probabilities) != len(batch.upstream):
        raise ValueError("the log-probabilities are not recorded")
    worst = Worst()
    for row in range(len(batch.upstream)):
        due: list[tuple[str, Sequence[float | None], Tracked]] = []
        if subject.family == "sampled":
            all_of = expected(formula_of(observation.claim), batch, row, cost, form)
            value, gradient = all_of.value, all_of.gradient
            if subject.returns_log_probability:
                due.append(("log-probability", [observation.log_probabilities[row]], all_of.log_probability))
        else:
            value, gradient = expected_whole(formula_of_objective(observation.claim), batch, row, cost, form)
        due += [
            ("value", [observation.values[row]], value),
            ("gradient", observation.gradients[row], gradient[columns]),
        ]
        for name, got, tracked in due:
            worst = worst.joined(compare(_array(got), tracked, f"{name}, {observation.regime}, row {row}"))
    return worst


def _draws(subject: Subject, observation: Observation) -> Worst:
    """Tokens have to be those that their counters give, except where rounding decides."""
    if not subject.replayed:
        raise ValueError("its draws cannot be repeated from their counters")
    logits, seed = batch_of(subject, observation)
    if len(observation.tokens) != len(logits):
        raise ValueError(f"{len(observation.tokens)} rows are recorded, {len(logits)} were run")
    worst = Worst()
    for row, drawn in enumerate(observation.tokens):
        due = replay(logits[row].astype(np.float32), seed, np.arange(len(drawn)), row)
        clear, tokens = np.asarray(due.clear), np.asarray(due.tokens).astype(np.float64)
        if clear.any():  # an error of a half: a token is right or wrong
            bound = Tracked(tokens[clear], np.full(int(clear.sum()), 0.5))
            worst = worst.joined(compare(np.array(drawn, np.float64)[clear], bound, f"draws of row {row}"))
    return worst


def _array(numbers: Sequence[float | None]) -> Array:
    return np.array([np.nan if number is None else number for number in numbers])
