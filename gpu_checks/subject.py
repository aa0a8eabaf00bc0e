"""What is audited: a kernel as an array function, whatever runs it.

Three families, by what a kernel is given and returns:

* `sampled`: one token a row is scored. `SampledBatch` -> `Result` with a value a row and, for a row's upstream
  derivative w, the gradient w c(L) (e_token - p) by the policy's logits.
* `whole`: a divergence over all tokens of a row. `WholeBatch` -> `Result`.
* `sampler`: draws tokens. `(logits, seed, count)` -> int64 tokens.

Arrays cross this border as NumPy arrays in the kernel's own storage format (bfloat16 by ml_dtypes), so the numbers
that a kernel reads are the numbers that the oracle reads: the rounding of inputs is nobody's error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias

from gpu_checks.bounds.cost import CostModel
from gpu_checks.formats import Array

Family = Literal["sampled", "whole", "sampler"]


class State(str, Enum):
    """What ran where; the word that every report leads with."""

    EXECUTED_GPU = "EXECUTED_GPU"
    EXECUTED_CPU_SAME_SOURCE = "EXECUTED_CPU_SAME_SOURCE"
    COMPILED_ONLY = "COMPILED_ONLY"
    NOT_RUN = "NOT_RUN"


@dataclass(frozen=True)
class SampledBatch:
    """Rows of logits with one token each.

    `logits` [row, token] in the storage format; `tokens` [row] int64; `reference` [row] float32, the reference's
    log-probability of the token; `upstream` [row] float32, the derivative of the scalar by the row's value;
    `sampler` [row] float32, the sampler's log-probability, where the kernel takes one (None: on-policy).
    """

    logits: Array
    tokens: Array
    reference: Array
    upstream: Array
    sampler: Array | None = None


@dataclass(frozen=True)
class WholeBatch:
    """Rows of two distributions.

    `policy` and `reference` [row, token] in the storage format: logits, or log-probabilities where the subject's
    cost model says so; `upstream` [row] float32.
    """

    policy: Array
    reference: Array
    upstream: Array


@dataclass(frozen=True)
class Result:
    """What a kernel returned: `value` [row], `gradient` [row, token] by the policy's input, in its own formats.

    `log_probability` [row] of the tokens, where the kernel returns it.
    """

    value: Array
    gradient: Array
    log_probability: Array | None = None


class Runner(Protocol):
    """A kernel that can be called; closing it ends what it started."""

    def __call__(self, batch: Any) -> Any:
        """SampledBatch or WholeBatch -> Result; a sampler takes (logits, seed, count) as one tuple -> tokens."""
        ...

    def close(self) -> None:
        """End processes and release memory."""
        ...


@dataclass(frozen=True)
class Request:
    """What a runner is opened for: the storage format's name, the vocabulary, and edits of the kernel's source.

    `edits` are (old, new) pairs that a planted fault makes to the source text before it is built; each old text
    must occur. `settings` go to the kernel (temperature, form, ...).
    """

    dtype: str
    vocabulary: int
    edits: tuple[tuple[str, str], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


class Unavailable(RuntimeError):
    """A backend cannot run here; the message is one line that says what is missing and what brings it."""


Opener: TypeAlias = Callable[[Request], Runner]


@dataclass(frozen=True)
class Subject:
    """A kernel under its short name.

    `claim` is what it is held against: the coefficient's form for `sampled` ("k3 as loss"), the objective for
    `whole` ("reverse_kl"), "softmax" for samplers. `backends` open it; `sources` are the files that evidence of it
    depends on. Raises of an opener: Unavailable.
    """

    name: str
    title: str
    family: Family
    claim: str
    cost: CostModel
    backends: Mapping[str, Opener]
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")
    sources: tuple[str, ...] = ()
    returns_log_probability: bool = False
    temperatures: tuple[float, ...] = (1.0,)
    """What the audit sets as `settings["temperature"]`; more than 1 only where the kernel divides logits by it."""
    masks: bool = True
    """Whether logits of -inf, a masked vocabulary, are taken: probability and gradient 0, and no NaN."""
    replayed: bool = False
    """A sampler whose draws `gpu_checks.sampling.replay` repeats: Gumbel-max over Philox4x32-10, counted as there."""
    configured: Callable[[str], Mapping[str, Any]] = lambda _claim: {}
    """The settings that a claim asks for, of a kernel that is built for the form it is to compute."""
    kernel: str = ""
    """The name of a kernel of our own (kernels/sources.py), which is compiled where no device runs it."""
    block: int = 0
    """Columns that one step of the kernel takes: a vocabulary that is a multiple of it has no tail (0: any)."""
