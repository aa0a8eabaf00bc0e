"""Writes one vector as a combination of a few others, exactly.

A vector maps the monomials of a normal form to numbers; that is what an objective's coefficient is,
and what a field over several tokens is. The scale is solved for, never guessed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

from sympy import Expr, S

from proofs.normal_form import is_zero_number, normal_form

Key = TypeVar("Key", bound=Hashable)
Vector = Mapping[Key, Expr]


def multiple_of(vector: Vector[Key], target: Vector[Key]) -> Expr | None:
    """Return a with vector = a * target, or None."""
    if not target or vector.keys() != target.keys():
        return None
    key = min(target, key=str)
    ratio = _tidy(vector[key] / target[key])
    if all(_vanishes(vector[k] - ratio * target[k]) for k in target):
        return ratio
    return None


def combination_of(
    vector: Vector[Key], targets: Sequence[tuple[str, Vector[Key]]], sizes: Sequence[int] = (2, 3)
) -> tuple[tuple[str, Expr], ...] | None:
    """Return the shortest way to write `vector` as a sum of scaled targets, or None."""
    usable = [(name, target) for name, target in targets if target and target.keys() & vector.keys()]
    for size in sizes:
        for chosen in combinations(usable, size):
            if vector.keys() <= {key for _, target in chosen for key in target}:
                scales = _solve(vector, [target for _, target in chosen])
                if scales is not None and not any(_vanishes(scale) for scale in scales):
                    names = (name for name, _ in chosen)
                    return tuple(zip(names, scales, strict=True))
    return None


def _solve(vector: Vector[Key], targets: Sequence[Vector[Key]]) -> list[Expr] | None:
    keys = sorted({*vector, *(key for target in targets for key in target)}, key=str)
    rows = [[*(t.get(key, S.Zero) for t in targets), vector.get(key, S.Zero)] for key in keys]
    for column in range(len(targets)):
        pivot = next((i for i in range(column, len(rows)) if not _vanishes(rows[i][column])), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        lead = rows[column]
        lead[:] = [_tidy(entry / lead[column]) for entry in lead]
        for row in rows:
            if row is not lead and row[column] != 0:
                factor = row[column]
                row[:] = [_tidy(a - factor * b) for a, b in zip(row, lead, strict=True)]
    if any(not _vanishes(row[-1]) for row in rows[len(targets) :]):
        return None
    return [row[-1] for row in rows[: len(targets)]]


def _tidy(number: Expr) -> Expr:
    return number if number.is_Rational else normal_form(number).expr


def _vanishes(number: Expr) -> bool:
    if number.is_Rational:
        return bool(number == 0)
    form = normal_form(number)
    return not form.terms or (form.is_constant and is_zero_number(number) is True)
