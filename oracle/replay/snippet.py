"""A saved case as a Python script of its own: it needs torch and the user's module alone, prints expected and actual,
and leaves with status 1 while the failure is there."""

from __future__ import annotations

import contextlib
import math
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
from oracle.replay.hearing import arguments_of, positional
from oracle.replay.rerun import at_home, case_of, opened
from oracle.replay.script import BODY, HEAD
from oracle.replay.witness import Call, Witness, run, unhex
from oracle.subject.arguments import _BIAS as BIAS
from oracle.subject.arguments import _SHIFTS as SHIFTS
from oracle.subject.batch import Batch
from oracle.subject.construct import Constructed
from oracle.subject.frames import head
from oracle.subject.roles import POLICY_FORMS, Role
from oracle.subject.subject import Subject
from oracle.subject.target import Target
from oracle.subject.vocabulary import rest_of


def script_of(saved: SavedCase) -> str:
    """The text of the script. Raises OracleError where the case has none: no witness, or arguments that are no
    numbers."""
    if saved.witness is None:
        raise CaseError(f"{saved.check} compares more than a few numbers; kl-oracle replay {saved.id} repeats it")
    with at_home(saved), quiet():
        target, binding = opened(saved)
        load = _load(target)
        case = case_of(saved, target, binding)
        run(case, saved.witness)  # what cannot be called is said before a script of it is written
        body = _calls(case, saved.witness)
    words = saved.claim if saved.claim is not None else saved.check
    head = HEAD.format(
        id=saved.id,
        what=_comment(f"{'claim ' if saved.claim is not None else ''}{words} of {saved.target}"),
        message=_comment(saved.message),
        load=load,
    )
    witness, frame = saved.witness, case.subject.convention.frame
    settings = {
        "KIND": case.subject.kind,
        "REWARD": saved.placement == "reward",
        "SIGN": -1.0 if case.subject.rewarding else 1.0,
        "LAYOUT": None if frame is None else frame.layout,
        "FLAT": frame is not None and frame.flat,
        "RULE": witness.rule,
        "LOOK": witness.look,
        "PART": witness.part,
        "ARGUMENT": witness.argument,
        "JOINED": witness.joined,
        "FACTOR": witness.factor,
        "ORDER": witness.order,
        "SLACK": witness.slack,
        "SIZE": witness.size,
        "BETA": binding.roles.get(Role.BETA),
        "POSITIONAL": positional(target),
        "RETURNS": witness.tabular is not None and witness.tabular.returns,
    }
    constants = "\n".join(f"{n} = {number(v) if isinstance(v, float) else repr(v)}" for n, v in settings.items())
    return f"{head}\n{constants}\n{body}{BODY}"


def _comment(text: str) -> str:
    """Text that cannot end the docstring it stands in, in lines of some length."""
    import textwrap

    plain = "".join(c if c.isprintable() else "?" for c in text).replace("\\", "/").replace('"""', "'''")
    return "\n".join(textwrap.wrap(plain, 110)) or "?"


def _load(target: Target) -> str:
    """How the script gets at the callable. Raises CaseError where kl-oracle took it out of its file."""
    from oracle.subject.target import _load as imported

    location, _, name = target.name.partition(":")
    is_file = location.endswith(".py") or "/" in location or "\\" in location
    module = f"load({Path(location).as_posix()!r})" if is_file else f"importlib.import_module({location!r})"
    head = "" if is_file else "import importlib\n\n"
    function = target.function
    owner: Any = None
    found: Any = None
    with contextlib.suppress(OracleError, AttributeError):
        found = imported(location, target.name)
        for part in name.split("."):
            owner, found = found, getattr(found, part)
    if isinstance(function, Constructed) and function.made in (owner, found):
        return head + _CONSTRUCTED.format(
            made=f"{module}.{name if found is function.made else name.rpartition('.')[0]}",
            fixed=list(function.fixed),
            given=list(function.given),
            positional=[n for n, p in function.given.items() if p.kind is p.POSITIONAL_ONLY],
            call="instance" if function.method in ("forward", "__call__") else f"instance.{function.method}",
        )
    if found is None or getattr(found, "_torchdynamo_orig_callable", found) != function:
        raise CaseError(f"{target.name} is taken from its file, which cannot be imported here; replay the case instead")
    return f"{head}function = {module}.{name}"


_CONSTRUCTED = """made = {made}


def function(**values):
    instance = made(**{{n: v for n, v in values.items() if n in {fixed}}})
    first = [values[n] for n in {positional} if n in values]
    return {call}(*first, **{{n: v for n, v in values.items() if n in {given} and n not in {positional}}})
"""


def _calls(case: Case, witness: Witness) -> str:
    """The arguments of each call, how those of the policy are made, and the constants of the kind of witness."""
    if witness.tabular is not None:
        instance = witness.tabular.instance()
        batch, tokens, rows = as_batch(instance)
        n = batch.shape[0]
        divisor = float(n) if case.subject.kind == "penalty" else float(factor(case, n, instance.horizon)) * n
        extra = (
            f"LOGITS = {tensor(torch.from_numpy(instance.policy_logits))}\nROWS = {rows.tolist()}\n"
            f"TOKENS = {tokens.tolist()}\nDIVISOR = {number(divisor)}\nWHERE = [None]\nMASKS = []\n"
        )
        at_logits = case.subject.wide and case.placement != "reward"
        calls = [_written(case, case.subject, batch, Call(**_EMPTY), at_logits)]
        subject = case.subject
    else:
        dtypes = {call.dtype for call in witness.calls}
        if len(dtypes) > 1:
            raise CaseError("the case compares two formats; replay it instead")
        (dtype,) = dtypes
        subject = case.subject if dtype == "float64" else case.subject.at_precision(getattr(torch, dtype))
        where = [call.where or witness.where for call in witness.calls]
        masks = [call.batch().mask.int().tolist() for call in witness.calls] if witness.rule == "weighed" else []
        extra = f"LOGITS = None\nWHERE = {where}\nMASKS = {masks}\n"
        at_logits = witness.look == "logits" or any(call.shift is not None for call in witness.calls)
        calls = [
            _written(case, subject.with_settings(call.fixed), call.batch(), call, at_logits) for call in witness.calls
        ]
    expected = "None" if witness.expected is None else tensor(torch.from_numpy(unhex(witness.expected)))
    spread = ROWS if subject.wide and not at_logits else ""
    return (
        f"DTYPE = {subject.convention.dtype}\n{extra}EXPECTED = {expected}\n"
        f"CALLS = [\n{''.join(calls)}]\n{spread}\n\n{_live(subject)}"
    )


_EMPTY: dict[str, Any] = {"policy": [], "reference": [], "sampler": [], "mask": [], "advantages": []}


def _live(subject: Subject) -> str:
    """The function that makes of the policy, or of its logits, what the subject takes."""
    named = {str(role): name for role, name in subject.binding.roles.items()}
    made = {
        "policy": "x",
        "log_ratio": 'x - call["reference"]',
        "log_importance_weight": 'x - call["sampler"]',
        "importance_weight": '(x - call["sampler"]).exp()',
    }
    words = "What the function takes of the policy, whose log-probabilities are x."
    if subject.wide:
        words = "What the function takes of the policy, of whose logits x, log-probabilities, are one form."
        made = {
            "logits": 'x + call["shift"]',
            "distribution": "x.log_softmax(-1)",
            "probabilities": "x.log_softmax(-1).exp()",
            "hidden": '(x + call["shift"] - call["bias"]) @ call["head"]',
        }
        if subject.convention.frame is not None and subject.convention.frame.flat:
            made = {role: f"({text}).flatten(0, 1)" for role, text in made.items()}
    items = ", ".join(f"{named[role]!r}: {text}" for role, text in made.items() if role in named)
    return f'def live(x, call):\n    """{words}"""\n    return {{{items}}}\n'


ROWS = '''

def rows(logp, call):
    """Log-probabilities of the vocabulary that give each token ``logp``; ``share`` says where the rest goes."""
    own, share, logp = call["own"], call["share"], logp - call["excess"]
    left = (-torch.expm1(logp))[..., None] * share
    out = torch.where(own, logp[..., None], torch.log(torch.where(own, torch.ones_like(left), left)))
    return out if call["end"] is None else torch.cat([out, call["end"]], 1)
'''


def _written(case: Case, subject: Subject, batch: Batch, call: Call, at_logits: bool) -> str:
    """One call: the arguments that are given, the policy, and what makes the policy's arguments of it."""
    convention = subject.convention
    roles = {name: str(role) for role, name in subject.binding.roles.items()}
    alive = (
        *(str(role) for role in POLICY_FORMS),
        *("log_ratio", "log_importance_weight", "importance_weight"),
    )
    heard = arguments_of(subject, batch)
    given = {n: v for n, v in heard.items() if roles.get(n) not in alive or n in subject.binding.settings}
    entries: dict[str, Any] = {"policy": batch.policy, "seed": call.seed}
    for role, numbers in (("reference", batch.reference), ("sampler", batch.sampler)):
        if any(r.endswith(("ratio", "weight")) and r in alive for r in roles.values()):
            entries[role] = numbers.to(convention.dtype)
    if convention.frame is not None:
        logits = subject.logits(batch).detach()
        entries |= _shifts(subject, logits)
        if at_logits:
            if call.shift is not None:
                by = torch.tensor([float.fromhex(x) for x in call.shift], dtype=logits.dtype)
                logits = logits + by[None, :, None]
            entries["logits"] = logits
        else:
            rest = rest_of(batch.policy, batch.reference, batch.sampler, batch.tables, convention.variant)
            size, t = logits.shape[-1], batch.shape[1]
            entries |= {
                "own": torch.arange(size) == rest.tokens[..., None],
                "share": rest.policy.to(convention.dtype),
                "excess": rest.excess.to(convention.dtype),
                "end": logits[:, t:] if logits.shape[1] > t else None,
            }
    inner = "".join(f"            {n!r}: {literal(v)},\n" for n, v in given.items())
    return (
        "    {\n        'given': {\n"
        + inner
        + "        },\n"
        + "".join(f"        {n!r}: {literal(v)},\n" for n, v in entries.items())
        + "    },\n"
    )


def _shifts(subject: Subject, logits: Tensor) -> dict[str, Tensor]:
    """What is added to log-probabilities to make logits of them, and what makes hidden states of these.

    They are found by handing zeros over: what is asked of log-probabilities is linear but for a distribution.
    """
    dtype, (_, n, size) = subject.convention.dtype, logits.shape
    step = SHIFTS[Role.LOGITS] * (1 + torch.arange(n, dtype=dtype))[None, :, None]
    out = {"shift": step}
    if Role.HIDDEN in subject.binding.roles:
        biased = Role.BIAS in subject.binding.roles
        out["bias"] = (BIAS if biased else 0.0) * torch.arange(size, dtype=dtype)
        out["head"] = head(size, dtype)
    return out


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
