"""What an evidence file holds."""

from __future__ import annotations

import msgspec

from gpu_checks.audit.records import Cell

SCHEMA = "kl-oracle/evidence/1"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The device and what drives it; versions as CUDA counts them, 13010 is 13.1, memory in bytes."""

    name: str
    compute_capability: str
    driver: int
    runtime: int
    memory: int
    multiprocessors: int


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a kernel returned for inputs that the seed gives again: see `observing`.

    `gradients` [row][i] are those at `columns` [i]; numbers are the stored ones, exactly, and None where they are not
    finite. `tokens` [row][draw] of a sampler.
    """

    subject: str
    claim: str
    dtype: str
    vocabulary: int
    seed: int
    regime: str = ""
    columns: list[int] = []
    values: list[float | None] = []
    log_probabilities: list[float | None] = []
    gradients: list[list[float | None]] = []
    tokens: list[list[int]] = []


class UlpError(msgspec.Struct, frozen=True, kw_only=True):
    """The largest error of a function of float32 over so many inputs, in units in the last place.

    `input` and `value` are the bits of where it is and of what came out; `promised` is what the bounds take.
    """

    function: str
    inputs: int
    error: float
    input: int
    value: int
    promised: float


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel's time, in ms, against a copy in the device's memory in the same run.

    `moved` are the bytes that any such kernel has to move; `bandwidth` is moved / time, `copied` that of the copy, in
    bytes/s.
    """

    subject: str
    dtype: str
    rows: int
    vocabulary: int
    milliseconds: float
    moved: int
    bandwidth: float
    copied: float

    @property
    def times_floor(self) -> float:
        """How many times as long as at the copy's bandwidth it takes."""
        return self.copied / self.bandwidth


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one run on one device showed; `sources` are the hashes of all that it depends on."""

    schema: str = SCHEMA
    version: str
    date: str
    device: Device
    versions: dict[str, str]
    sources: dict[str, str]
    cells: list[Cell]
    observations: list[Observation]
    ulps: list[UlpError]
    timings: list[Timing]
