"""Widening: what a small vocabulary says of a subject that takes all of it is looked at again on a larger one.

Code that keeps only the likeliest tokens cannot be told from code that keeps all where there are hardly more.
"""

from __future__ import annotations

import numpy as np
from msgspec import structs

from oracle.case import Case
from oracle.enumeration import expected_gradients, nearest
from oracle.errors import SubjectError
from oracle.probing.restricted import large, restriction_of, scale_of_whole
from oracle.records import ObjectiveRecord, Restriction


def widened(case: Case, record: ObjectiveRecord, on: bool) -> ObjectiveRecord:
    """The record, unnamed where its name fails on a larger vocabulary; with the objective on part of it, if any."""
    if not case.subject.whole or case.placement == "reward":
        return record
    seed = case.options.seed
    try:
        gradients = expected_gradients(case, list(large(seed, on)))
    except SubjectError:
        return record
    size = float(np.linalg.norm(np.concatenate([g.ravel() for g in gradients])))
    if not np.isfinite(size):
        return record
    if record.objective == "zero" and size <= case.tolerance:
        return record
    if record.scale is not None:
        scale = scale_of_whole(record.objective, on, seed, gradients, case.tolerance)
        if scale is not None:
            if on and abs(scale - record.scale) > 1e-4 * abs(record.scale):
                case.path.append(
                    f"its scale goes with the vocabulary: {record.scale:.4g} at 3 tokens, {scale:.4g} at 9"
                )
            return record
    found = restriction_of(seed, on, gradients, case.tolerance)
    if record.objective != "unnamed":
        near = nearest(case, on)
        record = structs.replace(record, objective="unnamed", level=None, scale=None, theorems=[])
        record = record if near is None else structs.replace(record, nearest=near)
    if found is None:
        return record
    part = Restriction(
        objective=found.objective,
        tokens=found.k,
        chosen_by=found.chosen_by,  # type: ignore[arg-type]
        treatment=found.treatment,
        scale=found.scale,
    )
    return structs.replace(record, restriction=part)
