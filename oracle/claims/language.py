"""The two languages of claims, parsed with the column of what was not understood and the nearest word.

Forms are held sample by sample:

    ESTIMATOR as loss | in reward | as loss and in reward [, WEIGHT] [, AGGREGATION] [, returns-to-go]
    WEIGHT   weight [token|prefix|sequence|geometric] none|detached|differentiated [truncated at C | clipped at E |
             clipped to A..B]

Objectives are held in expectation:

    [SCALE x] OBJECTIVE[/token|/sequence] [on-policy|off-policy|on- and off-policy] [as loss|in reward]
    [with returns-to-go]

ESTIMATOR is a name or an expression in L; OBJECTIVE a name such as ``reverse_kl``, or the divergence spelled with both
distributions, ``KL(policy||reference)``.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from difflib import get_close_matches
from typing import NoReturn, get_args

from oracle.claims.claim import Claim, Form, Level, Placed, Side, Weight
from oracle.errors import ClaimError

EXAMPLES = '"k3 as loss", "k2 as loss, weight detached", "reverse_kl/token off-policy"'

_PLACED = re.compile(r"(?<!\S)(as\s+loss\s+and\s+in\s+reward|in\s+reward\s+and\s+as\s+loss|as\s+loss|in\s+reward)\b")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?(?:/\d+)?"
_SCALE = re.compile(rf"\s*({_NUMBER})\s*(?:x|\*|times)\s+")
_SIDES: dict[str, tuple[Side, ...]] = {
    "on-policy and off-policy": ("on-policy", "off-policy"),
    "on- and off-policy": ("on-policy", "off-policy"),
    "on-policy": ("on-policy",),
    "off-policy": ("off-policy",),
}
_LEVELS = get_args(Level)
_KINDS = ("none", "detached", "differentiated")
_RETURNS = ("returns-to-go", "with returns-to-go")


class _Text:
    """A claim's text, and how an error in it is said."""

    def __init__(self, text: str) -> None:
        self.text = text

    def fail(self, at: int, what: str) -> NoReturn:
        """Raise ClaimError: the text, the column of the character at ``at``, and what is wrong there."""
        shown = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        raise ClaimError(f"claim {shown!r}, column {at + 1}: {what}")

    def unknown(self, at: int, word: str, known: tuple[str, ...], otherwise: str = "") -> NoReturn:
        """Raise ClaimError for a word that is not understood, with the nearest of those that would be."""
        close = get_close_matches(word, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else otherwise or f"use one of {', '.join(known)}"
        self.fail(at, f"{_short(word)!r} is not understood; {hint}")


def _short(word: str) -> str:
    return word if len(word) <= 40 else word[:37] + "..."


def parse_claim(text: str) -> Claim:
    """Parse a claim. Raises ClaimError with the column of what was not understood, and what would be."""
    if not text.strip():
        raise ClaimError(f"an empty claim; write one such as {EXAMPLES}")
    source = _Text(text)
    claim = _objective(source) if _names_objective(text) or not _PLACED.search(text) else _form(source)
    return replace(claim, text=" ".join(text.split()))


def _names_objective(text: str) -> bool:
    rest = text[m.end() :] if (m := _SCALE.match(text)) else text
    return _name_at(rest.lstrip()) is not None


def _names() -> dict[str, str]:
    """What an objective may be called, to its name."""
    from proofs.divergences import OBJECTIVES

    return {n: n for n in (*OBJECTIVES, "zero")} | {o.display: o.name for o in OBJECTIVES.values()}


def _name_at(rest: str) -> tuple[str, int] | None:
    """The objective that a text begins with, and how many characters it takes; the longest name wins."""
    found: tuple[str, int] | None = None
    for spelled, name in _names().items():
        pattern = re.sub(r"(\\ )+", r"\\s+", re.escape(spelled))
        m = re.match(rf"{pattern}(?![\w(|])", rest)
        if m and (found is None or m.end() > found[1]):
            found = name, m.end()
    return found


# --- objectives ---------------------------------------------------------------------------------------------------


def _objective(source: _Text) -> Claim:
    from proofs.estimators import ESTIMATORS

    text = source.text
    at, scale = len(text) - len(text.lstrip()), None
    if m := _SCALE.match(text):
        scale, at = _number(source, m.start(1), m[1]), m.end()
        if scale == 0.0:
            source.fail(m.start(1), "a scale of 0 is the objective 'zero'")
    at += len(text[at:]) - len(text[at:].lstrip())
    named = _name_at(text[at:])
    if named is None:
        word = re.match(r"[^\s/,]*", text[at:])
        assert word is not None
        if (estimator := word[0].lower()) in ESTIMATORS:
            source.fail(at, f"say where {estimator} stands: '{estimator} as loss' or '{estimator} in reward'")
        source.unknown(at, word[0], tuple(_names()), f"a claim is a form or an objective, for example {EXAMPLES}")
    name, length = named
    at += length
    level = None
    if m := re.compile(r"/(\S*)").match(text, at):
        level, at = m[1], m.end()
        if level not in ("token", "sequence"):
            close = get_close_matches(level, ("token", "sequence"), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f", for example {EXAMPLES}"
            source.fail(m.start(1), f"write OBJECTIVE[/token|/sequence] [on-policy|off-policy]{hint}")
    sides, placement, returns = _circumstances(source, at)
    if name == "zero" and (level is not None or scale is not None):
        source.fail(0, "a zero gradient has neither level nor scale; write 'zero'")
    if returns and sides is not None:
        source.fail(0, "returns-to-go are judged on-policy; leave the side out")
    if returns and placement == "loss":
        source.fail(0, "returns-to-go belong to a penalty in reward; write 'in reward with returns-to-go'")
    held: tuple[Side, ...] = ("with returns-to-go",) if returns else sides or ("on-policy",)
    placement = "reward" if returns else placement
    return Claim(text, placement, objective=name, level=level, scale=scale, sides=held)


def _circumstances(source: _Text, at: int) -> tuple[tuple[Side, ...] | None, Placed | None, bool]:
    """Side, placement and returns, each at most once and in any order."""
    sides: tuple[Side, ...] | None = None
    placement: Placed | None = None
    returns = False
    text = source.text
    while rest := text[at:].strip():
        start = at + len(text[at:]) - len(text[at:].lstrip(" \t\n\r\f\v,"))
        side = next((s for s in _SIDES if re.match(re.sub(" ", r"\\s+", s) + r"(?!\S)", text[start:])), None)
        if side is not None and sides is None:
            m = re.match(re.sub(" ", r"\\s+", side), text[start:])
            assert m is not None
            sides, at = _SIDES[side], start + m.end()
        elif placement is None and (m := re.match(r"(as\s+loss|in\s+reward)(?!\S)", text[start:])):
            placement, at = ("loss" if "loss" in m[1] else "reward"), start + m.end()
        elif not returns and (m := re.match(r"(?:with\s+)?returns-to-go(?!\S)", text[start:])):
            returns, at = True, start + m.end()
        else:
            word = text[start:].split()[0] if text[start:].split() else rest
            known = ("on-policy", "off-policy", "on- and off-policy", "as loss", "in reward", "with returns-to-go")
            source.unknown(min(start, len(text) - 1), word, known)
    return sides, placement, returns


# --- forms --------------------------------------------------------------------------------------------------------


def _form(source: _Text) -> Claim:
    from proofs.estimators import EstimatorError, parse_estimator
    from proofs.symbols import L

    text = source.text
    match = _PLACED.search(text)
    assert match is not None
    head = text[: match.start()]
    start = len(head) - len(head.lstrip())
    if not head.strip():
        source.fail(match.start(), f"an estimator goes before {' '.join(match[1].split())!r}; for example {EXAMPLES}")
    try:
        estimator = parse_estimator(head.strip())
    except EstimatorError as error:
        column = re.search(r" at column (\d+)", said := str(error))
        source.fail(start + int(column[1]) - 1 if column else start, re.sub(r" at column \d+", "", said, count=1))
    if not estimator.value.has(L):
        source.fail(start, f"{_short(head.strip())!r} is the same for every policy: an estimator depends on L")
    words = match[1].split()
    placement: Placed = "both" if "and" in words else "loss" if "loss" in words else "reward"
    rest, at = text[match.end() :], match.end()
    if rest.strip() and not rest.lstrip().startswith(","):
        source.fail(
            at + len(rest) - len(rest.lstrip()),
            f"after 'as loss' or 'in reward' a comma starts the next part; for example {EXAMPLES}",
        )
    weight: Weight | None = None
    aggregation: str | None = None
    returns = False
    for part in re.finditer(r",([^,]*)", rest):
        inner = part[1]
        where = at + part.start(1) + len(inner) - len(inner.lstrip())
        clean = " ".join(inner.split())
        if not clean:
            source.fail(min(at + part.start(), len(text) - 1), "after a comma comes a weight or an aggregation")
        if clean in _aggregations():
            if aggregation is not None:
                source.fail(where, f"the aggregation is already {aggregation}")
            aggregation = clean
        elif clean in _RETURNS:
            if placement == "loss":
                source.fail(where, "returns-to-go belong to a penalty in reward")
            returns = True
        else:
            if weight is not None:
                source.fail(where, "the weight is already given")
            weight = _weight(source, where, inner.strip(), placement)
    return Claim(text, placement, form=Form(estimator, placement, weight or Weight(), returns), aggregation=aggregation)


def _aggregations() -> tuple[str, ...]:
    from oracle.probing.aggregation import AGGREGATIONS

    return tuple(AGGREGATIONS)


def _weight(source: _Text, at: int, part: str, placement: Placed) -> Weight:
    """``weight LEVEL KIND BOUNDS``; the word weight, the level and, beside bounds, the kind may be left out."""
    if " ".join(part.split()) in ("no weight", "unweighted", "weight none", "none"):
        return Weight()
    words = [(at + m.start(), m[0]) for m in re.finditer(r"\S+", part)]
    known = (*_LEVELS, *_KINDS, "truncated", "clipped", "weight", *_aggregations(), "returns-to-go")
    kind: str | None = None
    level: str | None = None
    bounds: tuple[float, float] | None = None
    clipped = False
    i = 1 if words[0][1] == "weight" else 0
    if i == len(words):
        source.fail(words[0][0], f"say which weight: {', '.join(_KINDS)}")
    while i < len(words):
        where, word = words[i]
        if level is None and kind is None and word.removesuffix("-level") in _LEVELS:
            level = word.removesuffix("-level")
        elif kind is None and word in _KINDS:
            kind = word
        elif bounds is None and word in ("truncated", "clipped"):
            bounds, clipped = _bounds(source, words[i : i + 3]), word == "clipped"
            i += 2
        elif word in known:
            source.fail(where, f"{word!r} does not fit here; write weight [LEVEL] [KIND] [truncated at C|clipped at E]")
        else:
            source.unknown(where, word, known)
        i += 1
    if kind == "none" or (kind is None and bounds is None):
        source.fail(at, "no weight has no level and no threshold; write 'weight none', or a kind: detached")
    if kind is None:
        kind = "surrogate" if clipped and placement == "reward" else "detached"
    if placement == "both" and bounds is not None:
        source.fail(at, "a threshold is understood as loss or in reward, not for both at once")
    low, high = bounds or (0.0, math.inf)
    return Weight(kind, level or "token", low, high)  # type: ignore[arg-type]


def _bounds(source: _Text, words: list[tuple[int, str]]) -> tuple[float, float]:
    """``truncated at C``, ``clipped at E`` (1 - E to 1 + E), ``clipped to A..B``."""
    where, word = words[0]
    usage = "truncated at C" if word == "truncated" else "clipped at E or clipped to A..B"
    if len(words) < 3 or words[1][1] not in (("at",) if word == "truncated" else ("at", "to")):
        source.fail(
            where, f"write {usage}, for example '{usage.split(' or ')[0][:-1]}{'2' if 'C' in usage else '0.2'}'"
        )
    place, number = words[2]
    if words[1][1] == "to":
        ends = number.split("..")
        if len(ends) != 2:
            source.fail(place, "write the two ends as A..B, for example 0.8..1.2")
        low, high = (_number(source, place, e) for e in ends)
        if not 0.0 <= low < high:
            source.fail(place, "the ends must rise, and be 0 or more")
        return low, high
    value = _number(source, place, number)
    if word == "truncated":
        if not value > 0.0:
            source.fail(place, "a weight is positive, and so is its threshold")
        return 0.0, value
    if not 0.0 < value < 1.0:
        source.fail(place, "clipped at E means 1 - E to 1 + E, with E between 0 and 1")
    return 1.0 - value, 1.0 + value


def _number(source: _Text, at: int, text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        source.fail(at, f"{_short(text)!r} is not a number")
    top, _, bottom = text.partition("/")
    if bottom and not bottom.strip("0"):
        source.fail(at, "a fraction needs a denominator other than 0")
    try:
        value = float(top) / (float(bottom) if bottom else 1.0)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        source.fail(at, f"{_short(text)!r} is too large")
    return value
