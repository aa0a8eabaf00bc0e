"""Kernels of our own, broken on purpose: what an audit has to catch, as data.

Each mutant is one fault that fused kernels have had, as edits of the source. An audit that passes one of them, but for
those that are `neutral`, has no teeth there.
"""

from gpu_checks.kernels.mutants.record import Fault, Mutant
from gpu_checks.kernels.mutants.sampled import TOKEN
from gpu_checks.kernels.mutants.sampler import SAMPLER
from gpu_checks.kernels.mutants.softmax import SHARED
from gpu_checks.kernels.mutants.whole import WHOLE

__all__ = ["MUTANTS", "Fault", "Mutant", "mutant"]

MUTANTS: tuple[Mutant, ...] = (*SHARED, *TOKEN, *WHOLE, *SAMPLER)
"""Every mutant; names differ."""


def mutant(name: str) -> Mutant:
    """Return the mutant of a name; raises ValueError, with all names, for one that does not exist."""
    for candidate in MUTANTS:
        if candidate.name == name:
            return candidate
    raise ValueError(f"no mutant {name!r}: one of {', '.join(m.name for m in MUTANTS)}")
