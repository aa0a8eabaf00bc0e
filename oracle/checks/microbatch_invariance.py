"""microbatch.invariance: gradient accumulation over micro-batches must not change the normalisation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from oracle.case import Case
from oracle.checks.profile import coupled
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.aggregation import Shape, weights
from oracle.probing.expectation import Numbers
from oracle.probing.signal import kl_part
from oracle.subject.batch import Batch, ragged
from oracle.subject.binding import parameters_of
from oracle.subject.roles import Role
from oracle.subject.subject import Subject

_LENGTHS = (4, 3, 1, 2)
_COUNTED, _COUNTS = {"token", "tokens", "items"}, {"num", "n", "total", "global", "count", "batch", "all"}
_OTHERWISE = {"max", "min", "per", "length", "len", "mask", "id", "ids", "width", "limit"}
"""Words that make a parameter's name say a number of tokens, and words that make it say something else."""
_STEPS = re.compile(r"(grad(ient)?_)?acc(um(ulation)?)?_steps|(num_|n_)?micro_?batches")


@check(
    "microbatch.invariance",
    question="Do micro-batches of unequal lengths, accumulated, give the gradient of the whole batch?",
    severity="warning",
    failure="accumulated over micro-batches the gradient is another",
    remedy="divide by the tokens of the whole batch (pass their number in) and add up the micro-batches",
    no_theorem="how a trainer accumulates is a matter of the code; the objective is that of the whole batch",
)
def microbatch_invariance(case: Case) -> Answer:
    """Four sequences of 4, 3, 1 and 2 tokens, whole and as two micro-batches of 7 and 3 tokens.

    A plain token-mean cannot be averaged over micro-batches: that is for its caller to know, and a note. A loss that is
    told the number of tokens of the whole batch and does not divide by it, or that takes means over pieces of its own
    batch, is a warning.
    """
    if case.subject.kind != "loss":
        return skipped("the caller of a penalty aggregates it")
    if not case.subject.has(Role.MASK):
        return skipped("no parameter plays the mask, so micro-batches cannot differ in tokens")
    if coupled(case):
        return skipped("sequences of a batch are coupled, whatever a micro-batch is")
    batch = ragged(_LENGTHS, 4, case.options.seed + 41)
    tokens = int(batch.mask.sum())
    told, steps = told_of(case.subject)
    settings = dict.fromkeys(told, tokens)
    whole, parts = _run(case, settings | dict.fromkeys(steps, 1), settings | dict.fromkeys(steps, 2), batch)
    size = float(whole.abs().max())
    if not size > case.noise:
        return skipped("there is no gradient to accumulate")
    near = max(1e-7, 10 * case.tolerance) * size

    def same(x: torch.Tensor) -> bool:
        return float((x - whole).abs().max()) <= near

    if (pieces := _own_pieces(case)) is not None:
        return Answer(
            "fail",
            f"the loss takes a token-mean in each of {pieces} and averages these: a token's weight depends on which "
            "sequences share its piece",
            "tested",
            {"pieces": pieces},
        )
    if same(parts):
        how = f"with {told[0]} = tokens of the whole batch, " if told else ""
        return passed(f"{how}micro-batches are added up")
    if told:
        ratio = float((parts * whole).sum() / (whole * whole).sum())
        return Answer(
            "fail",
            f"told {told[0]} = {tokens}, two micro-batches add up to {ratio:.4g} times the gradient of the whole "
            "batch, and unevenly"
            if not same(parts / ratio)
            else f"told {told[0]} = {tokens}, two micro-batches add up to "
            f"{ratio:.4g} times the gradient of the whole batch",
            "tested",
            {"lengths": [[4, 3], [1, 2]], "scale": ratio},
        )
    share = 1.0 if steps else 0.5  # who is told the number of steps divides by it
    if same(share * parts):
        return passed("micro-batches of as many sequences are averaged")
    counts = torch.tensor([7.0, 7.0, 3.0, 3.0], dtype=torch.float64)[:, None]
    if same(parts * counts / tokens * (2 * share)):
        return Answer(
            "fail",
            "this is a token-mean: averaged over micro-batches of 7 and 3 tokens, a token of the second weighs "
            "2.333 times one of the first; right would be the tokens of the whole batch as divisor",
            "tested",
            {"lengths": [[4, 3], [1, 2]], "tokens": [7, 3]},
            "note",
        )
    return skipped("the normalisation has no name; see aggregation")


def told_of(subject: Subject) -> tuple[list[str], list[str]]:
    """The parameters that are told a number of tokens, and those that are told a number of steps."""
    return _parameters(subject, _says_tokens), _parameters(subject, lambda name: bool(_STEPS.fullmatch(name)))


def _says_tokens(name: str) -> bool:
    words = set(name.split("_"))
    return bool(words & _COUNTED and words & _COUNTS and not words & _OTHERWISE)


def _parameters(subject: Subject, says: Callable[[str], bool]) -> list[str]:
    """Numeric parameters without a role whose name says a number of tokens, or of steps."""
    taken = {*subject.binding.roles.values(), *subject.binding.also, *subject.binding.settings}
    return [
        name
        for name, p in parameters_of(subject.target.function).items()
        if name not in taken and says(name.lower()) and (p.default is None or type(p.default) in (int, float))
    ]


def _run(case: Case, whole: dict[str, int], micro: dict[str, int], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    one = case.subject.with_settings(whole) if whole else case.subject
    two = case.subject.with_settings(micro) if micro else case.subject
    parts = [kl_part(two, case.placement, _rows(batch, rows)).coefficient for rows in (slice(0, 2), slice(2, 4))]
    return kl_part(one, case.placement, batch).coefficient, torch.cat(parts)


def _rows(batch: Batch, rows: slice) -> Batch:
    return replace(
        batch,
        policy=batch.policy[rows],
        reference=batch.reference[rows],
        sampler=batch.sampler[rows],
        mask=batch.mask[rows],
        advantages=batch.advantages[rows],
    )


def _own_pieces(case: Case) -> str | None:
    """How the loss cuts its own batch, where its weights are those of token-means over such pieces."""
    if case.aggregation is not None and case.aggregation.ragged:
        return None
    shapes = (Shape((4, 3, 1, 2), 4), Shape((4, 1, 3, 2, 2, 4), 4))
    seen = np.concatenate([weights(case.subject, s).ravel() for s in shapes])
    if not np.isfinite(seen).all() or not np.abs(seen).max() > case.noise:
        return None
    for text, cuts in _cuts():
        model = np.concatenate([_piecewise(s, cuts(len(s.lengths))).ravel() for s in shapes])
        scale = float(seen @ model / (model @ model))
        if np.abs(seen - scale * model).max() <= 1e-5 * np.abs(seen).max():
            return text
    return None


def _cuts() -> Iterator[tuple[str, Callable[[int], list[list[int]]]]]:
    for size in (2, 3, 4):
        yield f"its pieces of {size} sequences", partial(_steps_of, size)
    for k in (2, 3):
        yield f"{k} pieces of its batch", partial(_even, k)
        yield f"{k} pieces of its batch", partial(_chunks, k)


def _even(pieces: int, n: int) -> list[list[int]]:
    return [c.tolist() for c in np.array_split(np.arange(n), pieces)]


def _chunks(pieces: int, n: int) -> list[list[int]]:
    return [c.tolist() for c in torch.arange(n).chunk(pieces)]


def _steps_of(size: int, n: int) -> list[list[int]]:
    return [list(range(i, min(i + size, n))) for i in range(0, n, size)]


def _piecewise(shape: Shape, pieces: list[list[int]]) -> Numbers:
    out = np.zeros((len(shape.lengths), shape.width))
    for piece in pieces:
        tokens = sum(shape.lengths[b] for b in piece)
        for b in piece:
            out[b, : shape.lengths[b]] = 1 / (len(pieces) * tokens)
    return out
