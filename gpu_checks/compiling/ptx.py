"""Facts of a kernel that its PTX states: the functions it calls, how it rounds, and what it must not contain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ENTRY = re.compile(r"\.entry\s+(\w+)\s*\(")
_SHARED = re.compile(r"^\s*\.shared\b[^;]*?\.([a-z]\d+)\s+[\w$]+(?:\[(\d+)\])?\s*;", re.MULTILINE)
_DOUBLE = re.compile(r"^\s*(?:@!?%\w+\s+)?\w[\w.]*\.f64\b.*;", re.MULTILINE)
_STORED = re.compile(r"\b(cvt\.[\w.]*?\.(?:bf16|f16)(?:x2)?\.f32)\b")
_EXP = re.compile(r"\b(ex2\.[\w.]+)")
_LOG = re.compile(r"\b(lg2\.[\w.]+)")


@dataclass(frozen=True)
class PtxFacts:
    """Of one entry: `shared` bytes of static shared memory, `doubles` instructions in float64, and the instructions
    that round to 16 bits, exponentiate and take logarithms, each kind once, sorted.

    No lg2 means that log is a polynomial: CUDA's logf without fast math.
    """

    shared: int
    doubles: int
    stores: tuple[str, ...]
    exponentials: tuple[str, ...]
    logarithms: tuple[str, ...]


def facts_of(text: str) -> dict[str, PtxFacts]:
    """Return the facts of every entry of a PTX text, by its name."""
    return {name: _facts(body) for name, body in _entries(text)}


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Each entry's name and body; a body ends where the next entry begins."""
    found = list(_ENTRY.finditer(text))
    for number, match in enumerate(found):
        end = found[number + 1].start() if number + 1 < len(found) else len(text)
        yield match[1], text[match.end() : end]


def _facts(body: str) -> PtxFacts:
    shared = sum(int(kind[1:]) // 8 * int(count or 1) for kind, count in _SHARED.findall(body))
    return PtxFacts(
        shared=shared,
        doubles=len(_DOUBLE.findall(body)),
        stores=_kinds(_STORED, body),
        exponentials=_kinds(_EXP, body),
        logarithms=_kinds(_LOG, body),
    )


def _kinds(pattern: re.Pattern[str], body: str) -> tuple[str, ...]:
    return tuple(sorted({str(found) for found in pattern.findall(body)}))
