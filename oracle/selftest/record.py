"""What a planted fault is, and what a reader of the code must find.

Conventions, which every expectation in this package was checked against by exact enumeration:

* ``scale`` is read at ``beta = 1``, on full masks, relative to the aggregation that the loss uses.
* ``scale = None`` under a named objective: the direction is that objective's, but the factor is no
  constant (a batch statistic, a rounding error, a divisor fixed by the caller). A verdict may name
  it, at any scale, or call it unnamed with that objective as the nearest.
* Off-policy, rows come from a sampler other than the policy. ``token`` then means: prefixes from
  the sampler, the expectation of the next token under the policy.
* A penalty in the reward is the detached coefficient of the score of its own token, without an
  importance weight.
* The objective is that of horizon 2. At horizon 1 a rolled reference is not rolled, a sequence
  ratio is a token ratio, and token and sequence level are one.
* No check may accuse a twin or a correct subject, with one reservation. ``tail`` says what float32
  does to its gradient at a log-ratio up to 100 either way, the importance ratio being near 1:
  ``finite``, it is finite and not zero; ``overflow``, an honest ``exp`` leaves the range of the type
  beyond 88 (for a sequence: beyond 88 in sum); ``rounding``, it does so too, and before, where
  log(reference/policy) > 17 or so, a live weight on k3 adds two terms of the size of
  reference/policy whose sum is the log-ratio, so that noise or an exact 0 is left (in float64
  beyond 37 or so). The formula is not at fault there; what is said of it is at most a note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Subject = Callable[..., Any]
Placement = Literal["loss", "reward"]
Tail = Literal["finite", "overflow", "rounding"]
Level = Literal["token", "sequence"]
Objective = Literal[
    "zero",
    "reverse_kl",
    "forward_kl",
    "chi2_half",
    "jeffreys",
    "total_variation",
    "chi2_reference_half",
    "jensen_shannon",
    "hellinger_squared",
    "unnamed",
]
FoundBy = Literal[
    "objective",
    "aggregation",
    "argument.order",
    "batch.coupling",
    "batch.permutation",
    "beta.linearity",
    "cancellation",
    "clamp.dead_gradient",
    "detach.reference",
    "detach.reward",
    "detach.sampler",
    "determinism",
    "dtype.bound",
    "expected_gradient.off_policy",
    "expected_gradient.on_policy",
    "expected_gradient.sequence",
    "logits.alignment",
    "logits.shift",
    "mask.leak",
    "mask.nonfinite",
    "microbatch.invariance",
    "padding.invariance",
    "reference.dependence",
    "reference.zero_at_reference",
    "sign",
    "tail.finite",
    "value.bias",
]


@dataclass(frozen=True)
class Expect:
    """The objective whose gradient the expected gradient is."""

    objective: Objective
    level: Level | None = None
    scale: float | None = None


@dataclass(frozen=True)
class Correct:
    """A subject without a fault: no check may accuse it."""

    subject: Subject
    on: Expect
    off: Expect
    claim: str | None = None
    placement: Placement = "loss"
    tail: Tail = "finite"
    note: str = ""
    called: str = ""
    """Its name in the catalogue, where that is not the subject's own."""

    @property
    def name(self) -> str:
        """What the catalogue calls it."""
        return self.called or str(getattr(self.subject, "__name__", self.subject))

    def with_fault(
        self, fault: Subject, found_by: FoundBy, on: Expect, off: Expect, note: str = "", called: str = ""
    ) -> Pair:
        """The pair of this twin and the same subject with a fault, named after it."""
        return Pair(called or str(getattr(fault, "__name__", fault)), fault, self, found_by, on, off, note)


@dataclass(frozen=True)
class Pair:
    """A subject with one fault, and its twin: the same subject without it, at the same placement.

    ``found_by`` is the check that must fail on the fault; ``"objective"`` says that the fault shows
    as another objective, level or scale than the twin's. ``on`` and ``off`` are those of the fault.
    """

    name: str
    fault: Subject
    twin: Correct
    found_by: FoundBy
    on: Expect
    off: Expect
    note: str = ""


ZERO = Expect("zero")
UNNAMED = Expect("unnamed")


def reverse_kl(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """KL(policy||reference)."""
    return Expect("reverse_kl", level, scale)


def forward_kl(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """KL(reference||policy)."""
    return Expect("forward_kl", level, scale)


def chi2_half(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """Half of chi2(policy||reference)."""
    return Expect("chi2_half", level, scale)


def jeffreys(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """KL(policy||reference) + KL(reference||policy)."""
    return Expect("jeffreys", level, scale)


def total_variation(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """Half of the sum of |policy - reference|."""
    return Expect("total_variation", level, scale)


def chi2_reference_half(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """Half of chi2(reference||policy)."""
    return Expect("chi2_reference_half", level, scale)


def jensen_shannon(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """The Jensen-Shannon divergence of policy and reference."""
    return Expect("jensen_shannon", level, scale)


def hellinger_squared(level: Level = "token", scale: float | None = 1.0) -> Expect:
    """The squared Hellinger distance of policy and reference."""
    return Expect("hellinger_squared", level, scale)
