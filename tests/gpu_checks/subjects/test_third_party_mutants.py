"""Faults planted in kernels of other projects: each applies to the installed source, and shows where it says."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from gpu_checks.formats import Array
from gpu_checks.subject import Request, Result
from gpu_checks.subjects.third_party import BACKEND, FLA, LIGER, SUBJECTS
from gpu_checks.subjects.third_party_mutants import MUTANTS, ThirdPartyMutant
from tests.gpu_checks.subjects.third_party_batches import batch_for

BY_NAME = {subject.name: subject for subject in SUBJECTS}


def run(subject: str, dtype: str, vocabulary: int, request: Request) -> Result:
    runner = BY_NAME[subject].backends[BACKEND](request)
    try:
        result: Result = runner(batch_for(BY_NAME[subject], dtype, vocabulary))
    finally:
        runner.close()
    return result


@cache
def clean(subject: str, dtype: str, vocabulary: int, settings: tuple[tuple[str, float], ...]) -> Result:
    return run(subject, dtype, vocabulary, Request(dtype, vocabulary, settings=dict(settings)))


def changed(found: Array, before: Array) -> bool:
    """Whether an array is not the one before: by more than 1e-4 of its greatest element, or NaN."""
    found, before = found.astype(np.float64), before.astype(np.float64)
    return not np.abs(found - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_fault_shows(mutant: ThirdPartyMutant) -> None:
    for needed in ("triton", (FLA if mutant.subject.startswith("fla") else LIGER)[0]):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    before = clean(mutant.subject, mutant.dtype, mutant.vocabulary, tuple(mutant.settings.items()))
    request = Request(mutant.dtype, mutant.vocabulary, mutant.edits, mutant.settings)
    found = run(mutant.subject, mutant.dtype, mutant.vocabulary, request)
    shows = {"value": changed(found.value, before.value), "gradient": changed(found.gradient, before.gradient)}
    assert shows == {part: mutant.shows in (part, "both") for part in shows}


def test_names_are_unique_and_subjects_exist() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
    assert {mutant.subject for mutant in MUTANTS} <= BY_NAME.keys()
