"""Prints the entries as one CUDA C++ header: templates over float and double for nvcc, NVRTC and any C++11 compiler."""

from __future__ import annotations

from collections.abc import Iterable

from proofs.lowering.entries import EDGE, Alias, Entry, Mixture, Planned, Weighted
from proofs.lowering.nodes import Node
from proofs.lowering.plan import Series
from proofs.lowering.printing import Language, printed, words_of

_LANGUAGE = Language(
    lambda number: f"T({number!r})", lambda name, given: f"fn::{name}({given})", "const T {name} = {value};"
)
_CALLS = ("exp", "expm1", "log", "log1p", "sqrt")
_PREAMBLE = """\
#pragma once

#if defined(__CUDACC_RTC__)
#define KL_ORACLE_FN __device__ __forceinline__
#elif defined(__CUDACC__)
#include <math.h>
#define KL_ORACLE_FN __host__ __device__ __forceinline__
#else
#include <math.h>
#define KL_ORACLE_FN inline
#endif

namespace kl_oracle {
namespace fn {
"""
_PLAIN = """\
KL_ORACLE_FN float abs(float x) { return ::fabsf(x); }
KL_ORACLE_FN double abs(double x) { return ::fabs(x); }
template <typename T> KL_ORACLE_FN bool infinite(T x) { return x == x && x - x != T(0); }
template <typename T> KL_ORACLE_FN T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }
template <typename T> KL_ORACLE_FN T minimum(T x, T y) { return x != x || x < y ? x : y; }
template <typename T> KL_ORACLE_FN T maximum(T x, T y) { return x != x || x > y ? x : y; }
}  // namespace fn
"""


def header_text(entries: Iterable[Entry], header: str) -> str:
    """Return the header's source."""
    calls = "".join(
        f"KL_ORACLE_FN float {name}(float x) {{ return ::{name}f(x); }}\n"
        f"KL_ORACLE_FN double {name}(double x) {{ return ::{name}(x); }}\n"
        for name in _CALLS
    )
    return (
        f"{header}{_PREAMBLE}{calls}{_PLAIN}\n" + "\n".join(map(_function, entries)) + "\n}  // namespace kl_oracle\n"
    )


def _function(entry: Entry) -> str:
    arguments = ", ".join(f"T {name}" for name in entry.arguments)
    lines = [f"// {words_of(entry)}", f"template <typename T> KL_ORACLE_FN T {entry.name}({arguments}) {{"]
    if isinstance(entry, Alias):
        body = [f"return {entry.of}({', '.join(entry.arguments)});"]
    elif isinstance(entry, Planned):
        body = _planned(entry)
    elif isinstance(entry, Mixture):
        body = _mixture(entry)
    else:
        body = _weighted(entry)
    return "\n".join([*lines, *(f"    {line}" for line in body), "}"]) + "\n"


def _planned(entry: Planned) -> list[str]:
    plan = entry.plan
    lines: list[str] = [] if "L" in _variables(plan.above) | _variables(plan.below) else ["(void)L;"]
    if plan.series is not None:
        lines += [f"if (fn::abs(L) < T({float(plan.series.width)!r})) {{"]
        lines += [*(f"    {line}" for line in _series(plan.series)), "}"]
    for side, limit in plan.ends:
        value = _LANGUAGE.number(float(limit)) if limit.is_finite else "fn::abs(L)" if limit > 0 else "-fn::abs(L)"
        lines.append(f"if (fn::infinite(L) && L {'>' if side > 0 else '<'} T(0)) return {value};")
    if plan.one_formula:
        return [*lines, *_returned(plan.above)]
    above, below = (["    " + line for line in _returned(node)] for node in (plan.above, plan.below))
    return [*lines, "if (L > T(0)) {", *above, "}", *(line[4:] for line in below)]


def _variables(node: Node) -> set[str]:
    return {node.name}.union(*map(_variables, node.arguments)) - {""}


def _series(series: Series) -> list[str]:
    numbers = [float(c) for c in series.coefficients]
    steps = [f"s = s * L + T({number!r});" if number else "s = s * L;" for number in reversed(numbers)]
    extra = len(numbers) - series.short
    lines = ["T s = T(0);", "if (sizeof(T) == sizeof(double)) {", *(f"    {step}" for step in steps[:extra]), "}"]
    return [*lines, *steps[extra:], f"return s{' * L' * series.lead};"]


def _mixture(entry: Mixture) -> list[str]:
    share = "" if entry.share == 1 else f"T({float(entry.share)!r}) * "
    lines, first = printed(entry.first, "L", _LANGUAGE)
    more, second = printed(entry.second, "L", _LANGUAGE)
    return [
        *lines,
        f"const T first = {first};",
        f"if (fn::abs(L) < T(1)) return (T(1) - {share}lam) * first + lam * {entry.rest}(L);",
        "if (lam == T(0)) return first;",
        *more,
        f"return first + lam * ({second});",
    ]


def _weighted(entry: Weighted) -> list[str]:
    lines, weight = printed(entry.weight, "L", _LANGUAGE)
    lines = [*lines, f"const T weight = {weight};"]
    given = ", ".join(entry.factor_arguments)
    if entry.far is not None:
        far = ["    " + line for line in _returned(entry.far)]
        if "lam" in entry.factor_arguments:
            far = ["    if (lam != T(0)) {", *("    " + line for line in far), "    }"]
        lines += [f"if (fn::abs(L) > T({EDGE})) {{", "    if (weight == T(0)) return weight;", *far, "}"]
    return [*lines, f"return weight * {entry.factor}({given});"]


def _returned(node: Node) -> list[str]:
    lines, value = printed(node, "L", _LANGUAGE)
    return [*lines, f"return {value};"]
