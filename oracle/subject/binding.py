"""Binding: which parameter of a callable plays which role, and which are fixed by the user."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from oracle.errors import RoleError
from oracle.subject.roles import (
    POLICY_FORMS,
    REFERENCE_FORMS,
    ROLE_NAMES,
    SAMPLER_FORMS,
    WEIGHTS,
    Role,
    role_beside_logits,
    role_of,
)

_NEVER_OPTIONAL = (Role.VALUES, Role.BIAS, Role.TOKENS, Role.IMPORTANCE_WEIGHT, Role.LOG_IMPORTANCE_WEIGHT)
"""Roles without which a callable that has a default for them does as well."""
_OFFERED = ROLE_NAMES[: ROLE_NAMES.index(Role.LOGITS)]
"""Roles worth offering for a parameter whose name says none."""
_SHARED = (Role.SAMPLER, Role.MASK)
"""Roles that several parameters may play; all are given the same numbers."""


@dataclass(frozen=True)
class Binding:
    """``roles`` maps a role to the parameter that plays it; ``settings`` are parameters the user fixed."""

    roles: Mapping[Role, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Role] = field(default_factory=dict)
    """Further parameters that play a role already bound: a rollout policy beside a proximal one, a second mask."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Parameters left at a numeric default: candidates for a constant normaliser."""

    def masks(self) -> list[str]:
        """The parameters that play the mask."""
        first = [self.roles[Role.MASK]] if Role.MASK in self.roles else []
        return [*first, *(n for n, r in self.also.items() if r is Role.MASK)]


def parse_assignment(text: str, option: str) -> tuple[str, str]:
    """Split ``name=value`` of ``--role`` or ``--set``."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise RoleError(f"{option} {text!r}: write {option} NAME=VALUE, for example {_EXAMPLES[option]}")
    return name.strip(), value.strip()


_EXAMPLES = {"--role": "--role base=reference", "--set": "--set kl_penalty=k3"}


def parse_value(text: str) -> Any:
    """A Python literal where the text is one (numbers, True, None, tuples), else the text itself."""
    known = {"true": True, "false": False, "none": None, "inf": float("inf"), "-inf": float("-inf")}
    if text.lower() in known:
        return known[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all that literal_eval raises
        return text


def parse_role(text: str) -> tuple[str, Role]:
    """``PARAMETER=ROLE`` (``ROLE=PARAMETER`` is understood where only one side is a role)."""
    left, right = parse_assignment(text, "--role")
    if right.lower() in ROLE_NAMES:
        return left, Role(right.lower())
    if left.lower() in ROLE_NAMES:
        return right, Role(left.lower())
    close = get_close_matches(right.lower(), ROLE_NAMES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the roles are {', '.join(ROLE_NAMES)}"
    raise RoleError(f"--role {text}: {right!r} is not a role; {hint}")


def bind(function: Callable[..., Any], roles: Sequence[str] = (), settings: Sequence[str] = ()) -> Binding:
    """Bind the parameters of ``function``; explicit ``PARAMETER=ROLE`` and ``NAME=VALUE`` texts go first.

    Raises RoleError where a parameter without default has no role, or where policy or reference is missing.
    """
    parameters = parameters_of(function)
    fixed = {n: parse_value(v) for n, v in (parse_assignment(s, "--set") for s in settings)}
    explicit = dict(parse_role(r) for r in roles)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in (*explicit, *fixed):
        if name not in parameters and not open_ended:
            close = get_close_matches(name, list(parameters), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(parameters)}"
            raise RoleError(f"{_name(function)} has no parameter {name!r}; {hint}")
    bound: dict[Role, str] = {}
    also: dict[str, Role] = {}
    for name, role in explicit.items():
        if role in bound and role not in _SHARED:
            raise RoleError(f"two parameters are given the role {role}: {bound[role]!r} and {name!r}")
        if role in bound:
            also[name] = role
        else:
            bound[role] = name
    named = role_beside_logits if _wide(parameters, explicit) else role_of
    unbound, numbers = _bind_by_name(function, parameters, {*explicit, *fixed}, bound, also, named)
    _one_form(parameters, explicit, bound)
    _require(function, bound, unbound, parameters)
    return Binding(bound, fixed, also, numbers)


def _name(function: Callable[..., Any]) -> str:
    return getattr(getattr(function, "func", function), "__name__", type(function).__name__)


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a callable; those of ``forward`` where it is an instance of torch's Module."""
    forward = getattr(function, "forward", None)
    stated = forward if callable(forward) and hasattr(function, "_forward_hooks") else function
    try:
        return dict(inspect.signature(stated).parameters)
    except (TypeError, ValueError) as error:
        raise RoleError(f"{_name(function)} has no readable signature; wrap it in a small Python function") from error


def _bind_by_name(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    taken: set[str],
    bound: dict[Role, str],
    also: dict[str, Role],
    named: Callable[[str], Role | None],
) -> tuple[list[str], dict[str, float]]:
    unbound: list[str] = []
    numbers: dict[str, float] = {}
    for name, parameter in parameters.items():
        if name in taken or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        role = named(name)
        default = parameter.default
        optional = default is not parameter.empty
        if optional and role in _NEVER_OPTIONAL:
            role = None
        fits = not optional or default is None or (role is Role.BETA and isinstance(default, (int, float)))
        if role is not None and fits and not isinstance(default, bool):
            if role not in bound:
                bound[role] = name
            elif role in _SHARED and not optional:
                also[name] = role
            elif not optional:
                raise RoleError(
                    f"{_name(function)}: {bound[role]!r} and {name!r} both look like the {role}; "
                    f"say which with --role {name}=ROLE"
                )
        elif not optional:
            unbound.append(name)
        elif isinstance(default, (int, float)) and not isinstance(default, bool):
            numbers[name] = float(default)
    return unbound, numbers


_WIDE = set(POLICY_FORMS[1:])


def _wide(parameters: Mapping[str, inspect.Parameter], explicit: Mapping[str, Role]) -> bool:
    """Whether the policy comes as logits, as log-probabilities of the whole vocabulary, or as hidden states."""
    said = set(explicit.values())
    roles = {role_of(n) for n in parameters if n not in explicit}
    if _WIDE & (said | roles):
        return True
    # "student_input" alone may be anything; beside "student_weight" it is a hidden state
    needed = {role_beside_logits(n) for n, p in parameters.items() if p.default is p.empty and n not in explicit}
    return {Role.HIDDEN, Role.WEIGHT} <= needed and Role.POLICY not in said | roles


def _one_form(
    parameters: Mapping[str, inspect.Parameter], explicit: Mapping[str, Role], bound: dict[Role, str]
) -> None:
    """Where one distribution could be given in several forms, give the required ones, or else the plainest."""
    for forms in (POLICY_FORMS, REFERENCE_FORMS, SAMPLER_FORMS):
        found = [r for r in forms if r in bound]
        needed = [r for r in found if bound[r] in explicit or parameters[bound[r]].default is inspect.Parameter.empty]
        for role in found:
            if role not in (needed or found[:1]):
                del bound[role]
    for hidden, weight in WEIGHTS.items():
        if weight in bound and hidden not in bound and bound[weight] not in explicit:
            optional = parameters[bound[weight]].default is not inspect.Parameter.empty
            if optional:
                del bound[weight]


def _require(
    function: Callable[..., Any],
    bound: Mapping[Role, str],
    unbound: Sequence[str],
    parameters: Mapping[str, inspect.Parameter],
) -> None:
    needed = () if Role.LOG_RATIO in bound else (POLICY_FORMS, REFERENCE_FORMS)
    missing = [r[0] for r in needed if not any(form in bound for form in r)]
    if missing:
        role = missing[0]
        candidate = unbound[0] if unbound else next(iter(parameters), "PARAMETER")
        forms = POLICY_FORMS if role is Role.POLICY else REFERENCE_FORMS
        ratio = next((n for n in unbound if re.search("ratio|diff|logr", n.lower())), None)
        if ratio is not None:
            raise RoleError(
                f"{_name(function)}({', '.join(parameters)}): no parameter is recognised as the {role}'s "
                f"log-probabilities; if {ratio} is log(policy/reference) say --role {ratio}={Role.LOG_RATIO}"
            )
        raise RoleError(
            f"{_name(function)}({', '.join(parameters)}): no parameter is recognised as the {role}'s "
            f"log-probabilities; say which with --role {candidate}={role} "
            f"(or {', '.join(forms[1:])}, or {Role.LOG_RATIO} for log(policy/reference), in the place of {role})"
        )
    if Role.HIDDEN in bound and Role.WEIGHT not in bound:
        name = next(iter(unbound), "WEIGHT")
        raise RoleError(
            f"{_name(function)}: hidden states need the matrix that makes logits of them; "
            f"say which parameter it is with --role {name}={Role.WEIGHT}"
        )
    if unbound:
        name = unbound[0]
        raise RoleError(
            f"{_name(function)}: parameter {name!r} has no role and no default; give it --role {name}=ROLE "
            f"(one of {', '.join(_OFFERED)}) or --set {name}=VALUE"
        )
