"""A saved case as a Python script of its own: it needs torch and the user's module alone, prints expected and actual,
and leaves with status 1 while the failure is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oracle.case import Case
from oracle.enumeration import factor
from oracle.errors import OracleError
from oracle.judge import quiet
from oracle.probing.expectation import as_batch
from oracle.replay.cases import CaseError, SavedCase
from oracle.replay.rerun import at_home, case_of, opened
from oracle.replay.script import BODY, HEAD
from oracle.replay.witness import Witness, run, unhex
from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.target import Target


class _Heard(BaseException):
    """Ends a call once its arguments are known; no handler of the subject's takes it for an error."""


def script_of(saved: SavedCase) -> str:
    """The text of the script. Raises OracleError where the case has none: no witness, or arguments that are no
    numbers."""
    if saved.witness is None:
        raise CaseError(f"{saved.check} compares more than a few numbers; kl-oracle replay {saved.id} repeats it")
    with at_home(saved), quiet():
        target, binding = opened(saved)
        if not _is_plain(target):
            raise CaseError(f"{saved.target} is made by kl-oracle from what stands there; replay the case instead")
        case = case_of(saved, target, binding)
        if case.subject.wide:
            raise CaseError(
                f"{saved.target} takes the whole vocabulary, which a short script cannot show; "
                f"kl-oracle replay {saved.id} repeats it"
            )
        run(case, saved.witness)  # what cannot be called is said before a script of it is written
        calls, extra = _calls(case, saved.witness)
    location, _, name = saved.target.partition(":")
    words = saved.claim if saved.claim is not None else saved.check
    head = HEAD.format(
        id=saved.id,
        what=_comment(f"{'claim ' if saved.claim is not None else ''}{words} of {saved.target}"),
        message=_comment(saved.message),
        load=_load(location, name),
    )
    settings = {
        "KIND": case.subject.kind,
        "REWARD": saved.placement == "reward",
        "SIGN": -1.0 if case.subject.rewarding else 1.0,
        "RULE": saved.witness.rule,
        "FACTOR": saved.witness.factor,
        "ORDER": saved.witness.order,
        "SLACK": saved.witness.slack,
        "SIZE": saved.witness.size,
        "POLICY": binding.roles[Role.POLICY],
        "BETA": binding.roles.get(Role.BETA),
        "RETURNS": saved.witness.tabular is not None and saved.witness.tabular.returns,
    }
    constants = "\n".join(f"{n} = {number(v) if isinstance(v, float) else repr(v)}" for n, v in settings.items())
    return f"{head}\n{constants}\n{extra}CALLS = [\n{calls}]\n{BODY}"


def _is_plain(target: Target) -> bool:
    """Whether the name alone leads to the callable: it was neither lifted from its file nor made from a class."""
    from oracle.subject.target import _load

    location, _, name = target.name.partition(":")
    try:
        found: Any = _load(location, target.name)
        for part in name.split("."):
            found = getattr(found, part)
    except (OracleError, AttributeError):
        return False
    return bool(getattr(found, "_torchdynamo_orig_callable", found) == target.function)


def _comment(text: str) -> str:
    """Text that cannot end the docstring it stands in, in lines of some length."""
    import textwrap

    plain = "".join(c if c.isprintable() else "?" for c in text).replace("\\", "/").replace('"""', "'''")
    return "\n".join(textwrap.wrap(plain, 110)) or "?"


def _load(location: str, name: str) -> str:
    is_file = location.endswith(".py") or "/" in location or "\\" in location
    attributes = "".join(f".{part}" for part in name.split("."))
    if not is_file:
        return f"import importlib\n\nfunction = importlib.import_module({location!r}){attributes}"
    path = Path(location)
    return f"function = load({path.as_posix()!r}){attributes}"


def _calls(case: Case, witness: Witness) -> tuple[str, str]:
    """The arguments of each call, and the constants that go with the kind of witness."""
    if witness.tabular is not None:
        instance = witness.tabular.instance()
        batch, tokens, rows = as_batch(instance)
        n = batch.shape[0]
        divisor = float(n) if case.subject.kind == "penalty" else float(factor(case, n, instance.horizon)) * n
        logits = torch.from_numpy(instance.policy_logits)
        extra = (
            f"LOGITS = {tensor(logits)}\nROWS = {rows.tolist()}\nTOKENS = {tokens.tolist()}\n"
            f"DIVISOR = {number(divisor)}\nWHERE = None\nEXPECTED = {_expected(witness)}\n"
        )
        return _call(case, batch), extra
    batches = [call.batch() for call in witness.calls]
    dtypes = {call.dtype for call in witness.calls}
    subject = case if dtypes == {"float64"} else _at_float32(case)
    extra = f"LOGITS = None\nWHERE = {witness.where}\nEXPECTED = {_expected(witness)}\n"
    return "".join(_call(subject, b) for b in batches), extra


def _at_float32(case: Case) -> Case:
    return replace(case, subject=case.subject.at_precision(torch.float32))


def _expected(witness: Witness) -> str:
    return "None" if witness.expected is None else tensor(torch.from_numpy(unhex(witness.expected)))


def _call(case: Case, batch: Batch) -> str:
    given = arguments_of(case, batch)
    return "    dict(\n" + "".join(f"        {n}={literal(v)},\n" for n, v in given.items()) + "    ),\n"


def arguments_of(case: Case, batch: Batch) -> Mapping[str, Any]:
    """The keyword arguments that the subject gets for a batch."""
    heard: dict[str, Any] = {}
    names = _positional(case.subject.target)

    def listen(*args: Any, **kwargs: Any) -> Any:
        heard.update(dict(zip(names, args, strict=False)) | kwargs)
        raise _Heard

    subject = replace(case.subject, target=_listening(case.subject.target, listen))
    try:
        subject.result(batch, batch.policy.to(subject.convention.dtype))
    except _Heard:
        return heard
    except OracleError as error:
        if heard:
            return heard
        raise CaseError(f"the arguments of {subject.target.name} could not be written down: {error}") from error
    raise CaseError(f"{subject.target.name} was not called; replay the case instead")


def literal(value: Any) -> str:
    """An argument as Python writes it. Raises CaseError where it is neither tensor nor plain value."""
    if isinstance(value, Tensor):
        return tensor(value)
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return repr(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, (tuple, list)):
        inner = ", ".join(literal(v) for v in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    raise CaseError(f"a {type(value).__name__} cannot be written into a script; replay the case instead")


def tensor(value: Tensor) -> str:
    """A tensor with few digits where its numbers have short names."""

    def inner(v: Any) -> str:
        return f"[{', '.join(inner(x) for x in v)}]" if isinstance(v, list) else number(v)

    exact = value.detach()
    return f"torch.tensor({inner(exact.tolist())}, dtype={exact.dtype})"


def number(x: float | int | bool) -> str:
    """A number in the shortest way that gives it back to the last bit: log(2/5), 0.5, inf."""
    if isinstance(x, (bool, int)) or not math.isfinite(x):
        return repr(x)
    if x < 0 and x > -7 and len(repr(x)) > 8:
        near = Fraction(math.exp(x)).limit_denominator(1000)
        if near > 0 and math.log(near.numerator / near.denominator) == x:
            return f"log({near})"
    return repr(x)


def _positional(target: Target) -> list[str]:
    from oracle.subject.binding import parameters_of

    return [n for n, p in parameters_of(target.function).items() if p.kind is p.POSITIONAL_ONLY]


def _listening(target: Target, listen: Any) -> Target:
    """The target with its signature and another body."""
    import inspect

    from oracle.subject.binding import parameters_of

    listen.__signature__ = inspect.Signature(list(parameters_of(target.function).values()))
    return replace(target, function=listen)
