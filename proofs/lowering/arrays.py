"""Prints the entries as a Python module of array functions: NumPy, PyTorch or CuPy.

No branch sees an argument that is not its own: each is given a harmless one there, so that neither
an overflow nor its gradient reaches the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proofs.lowering.entries import EDGE, Alias, Entry, Mixture, Planned, Weighted
from proofs.lowering.nodes import Node
from proofs.lowering.plan import Series
from proofs.lowering.printing import Language, printed, words_of


@dataclass(frozen=True)
class Backend:
    """An array library: the name it is called by, its array type, and the code that every module begins with."""

    module: str
    array: str
    preamble: str
    decorator: str = ""


_ARRAY_PREAMBLE = '''\
def _floating(values{hint}){array}:
    """float32 and float64 as they are, half precisions as float32, all else as float64."""
    array = {m}.asarray(values)
    if array.dtype in ({m}.float32, {m}.float64):
        return array
    return array.astype({m}.float32 if array.dtype.kind == "f" and array.dtype.itemsize < 4 else {m}.float64)


def _like(values{hint}, array{array_hint}){array}:
    return {m}.asarray(values).astype(array.dtype)


def _in(result{array_hint}, array{array_hint}){array}:
    return {m}.asarray(result).astype(array.dtype)


def _short(array{array_hint}) -> bool:
    return bool(array.dtype == {m}.float32)
'''


def _numpy_like(module: str, array: str) -> str:
    return _ARRAY_PREAMBLE.format(m=module, hint=": Any", array=f" -> {array}", array_hint=f": {array}")


NUMPY = Backend(
    "np",
    "Array",
    "import numpy as np\nimport numpy.typing as npt\n\nArray: TypeAlias = npt.NDArray[Any]\n\n\n"
    + _numpy_like("np", "Array"),
    '@np.errstate(all="ignore")\n',
)
CUPY = Backend(
    "cp",
    "Array",
    "import cupy as cp  # type: ignore[import-not-found,import-untyped,unused-ignore]\n\nArray: TypeAlias = Any\n\n\n"
    + _numpy_like("cp", "Array"),
)
TORCH = Backend(
    "torch",
    "Tensor",
    '''\
import torch
from torch import Tensor


def _floating(values: Any) -> Tensor:
    """float32 and float64 as they are, half precisions as float32, all else as float64."""
    tensor = torch.as_tensor(values)
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.dtype.is_floating_point else torch.float64)


def _like(values: Any, tensor: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=tensor.dtype, device=tensor.device)


def _in(result: Any, tensor: Tensor) -> Tensor:
    return torch.as_tensor(result).to(tensor.dtype)


def _short(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32
''',
)

_HORNER = """

def _horner(x: {array}, coefficients: tuple[float, ...]) -> {array}:
    total: Any = coefficients[-1]
    for number in reversed(coefficients[:-1]):
        total = total * x + number
    return total * {m}.ones_like(x) if isinstance(total, float) else total
"""


def module_text(entries: Iterable[Entry], backend: Backend, header: str) -> str:
    """Return the module's source."""
    names: list[str] = []
    parts: list[str] = []
    for entry in entries:
        names.append(entry.name)
        parts.append(_function(entry, backend))
    listed = "".join(f'    "{name}",\n' for name in sorted(names))
    typing = "from typing import Any, TypeAlias" if "TypeAlias" in backend.preamble else "from typing import Any"
    horner = _HORNER.format(array=backend.array, m=backend.module)
    return (
        f"{header}\nfrom __future__ import annotations\n\n{typing}\n\n{backend.preamble}{horner}\n\n"
        f"__all__ = [\n{listed}]\n\n\n" + "\n\n".join(parts)
    )


def _function(entry: Entry, backend: Backend) -> str:
    arguments = ", ".join(f"{a}: Any" for a in entry.arguments)
    lines = [f"def {entry.name}({arguments}) -> {backend.array}:", f'    """{words_of(entry)}"""']
    others = [f"{name} = _like({name}, L)" for name in entry.arguments[1:]]
    if isinstance(entry, Alias):
        lines.append(f"    return {entry.of}({', '.join(entry.arguments)})")
        return "\n".join(lines) + "\n"
    body = ["L = _floating(L)", *others]
    if isinstance(entry, Planned):
        body += _with_ends(entry, backend)
    elif isinstance(entry, Mixture):
        body += _mixture(entry, backend)
    else:
        body += _weighted(entry, backend)
    return backend.decorator + "\n".join([*lines, *(f"    {line}" for line in body)]) + "\n"


def _with_ends(entry: Planned, backend: Backend) -> list[str]:
    lines = _planned(entry, backend)
    if not entry.plan.ends:
        return lines
    value = lines.pop().removeprefix("return _in(").removesuffix(", L)")
    lines.append(f"result = {value}")
    for side, limit in entry.plan.ends:
        end = f'float("{"" if side > 0 else "-"}inf")'
        lines.append(f'result = {backend.module}.where(L == {end}, float("{float(limit)!r}"), result)')
    return [*lines, "return _in(result, L)"]


def _planned(entry: Planned, backend: Backend) -> list[str]:
    plan, m = entry.plan, backend.module
    if plan.series is None:
        if plan.one_formula:
            return _returned(*_printed(plan.above, "L", m), m)
        lines = [f"x = {m}.where(L < 0.0, 0.0, L)", *_named("above", *_printed(plan.above, "x", m))]
        lines += [f"x = {m}.where(L > 0.0, 0.0, L)", *_named("below", *_printed(plan.below, "x", m))]
        return [*lines, f"return _in({m}.where(L > 0.0, above, below), L)"]
    width = repr(float(plan.series.width))
    lines = [f"near = {m}.abs(L) < {width}", f"x = {m}.where(near, L, 0.0)", *_series(plan.series)]
    if plan.one_formula:
        lines += [f"x = {m}.where(near, {width}, L)", *_named("outer", *_printed(plan.above, "x", m))]
        return [*lines, f"return _in({m}.where(near, inner, outer), L)"]
    lines += [f"x = {m}.where(L < {width}, {width}, L)", *_named("above", *_printed(plan.above, "x", m))]
    lines += [f"x = {m}.where(L > -{width}, -{width}, L)", *_named("below", *_printed(plan.below, "x", m))]
    return [*lines, f"return _in({m}.where(near, inner, {m}.where(L > 0.0, above, below)), L)"]


def _series(series: Series) -> list[str]:
    numbers = [repr(float(c)) for c in series.coefficients]
    powers = " * x" * series.lead
    short = f"[: {series.short} if _short(L) else {len(numbers)}]"
    return [
        "coefficients = (",
        *(f"    {n}," for n in numbers),
        ")",
        f"inner = _horner(x, coefficients{short}){powers}",
    ]


def _mixture(entry: Mixture, backend: Backend) -> list[str]:
    m, share = backend.module, "" if entry.share == 1 else f"{float(entry.share)!r} * "
    first, second = (_printed(node, "x", m) for node in (entry.first, entry.second))
    lines = [f"near = {m}.abs(L) < 1.0", f"x = {m}.where(near, L, 0.0)"]
    lines += _named("first", *first)
    lines += [f"inner = (1.0 - {share}lam) * first + lam * {entry.rest}(x)", f"x = {m}.where(near, 1.0, L)"]
    lines += [*_named("first", *first), *_named("second", *second)]
    lines += [f"outer = {m}.where(lam == 0.0, first, first + lam * second)"]
    return [*lines, f"return _in({m}.where(near, inner, outer), L)"]


def _weighted(entry: Weighted, backend: Backend) -> list[str]:
    m = backend.module
    lines = _named("weight", *_printed(entry.weight, "L", m))
    given = ", ".join(entry.factor_arguments)
    if entry.far is None:
        return [*lines, f"return _in(weight * {entry.factor}({given}), L)"]
    inside = given.replace("L", "x", 1)
    some = "(weight != 0.0) & (lam != 0.0)" if "lam" in entry.factor_arguments else "(weight != 0.0)"
    # where a factor is 0 there is nothing to save, and no infinity may meet it
    lines += [f"outside = {m}.abs(L) > {EDGE}.0", f"beyond = outside & {some}"]
    lines += [f"x = {m}.where(beyond | (outside & (weight == 0.0)), 0.0, L)"]
    lines += [f"moderate = weight * {entry.factor}({inside})", f"x = {m}.where(beyond, L, {EDGE}.0)"]
    lines += _named("far", *_printed(entry.far, "x", m))
    return [*lines, f"return _in({m}.where(beyond, far, moderate), L)"]


def _named(name: str, lines: list[str], value: str) -> list[str]:
    return [*lines, f"{name} = {value}"]


def _returned(lines: list[str], value: str, m: str) -> list[str]:
    if value == "L":
        value = "L * 1.0"
    elif "L" not in value and not lines:
        value = f"{value} * {m}.ones_like(L)"
    return [*lines, f"return _in({value}, L)"]


def _printed(node: Node, point: str, module: str) -> tuple[list[str], str]:
    language = Language(repr, lambda name, given: f"{module}.{name}({given})", "{name} = {value}")
    return printed(node, point, language)
