"""Running: what one target text asks for, and its verdicts; one that cannot be judged is a verdict with its error."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

import msgspec

from oracle.case import Options
from oracle.claims import Claim, consistent, parse_claim
from oracle.errors import OracleError
from oracle.judge import failed_to_run, judge_target
from oracle.records import Verdict
from oracle.subject.target import Target, resolve

T = TypeVar("T")


def claims_of(texts: Sequence[str]) -> list[Claim]:
    """The claims, parsed. Raises ClaimError where one is not understood, or where they contradict each other."""
    claims = [parse_claim(text) for text in texts]
    consistent(claims)
    return claims


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One target text with all that goes with it; texts are as on the command line, so that it can go to a process."""

    target: str
    roles: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    placement: Literal["loss", "reward"] | None = None
    claims: tuple[str, ...] = ()
    options: Options = Options()
    demanded: bool = False


Explain = Callable[[BaseException], str | None]
"""Better words for an error, where there are any."""


def find(request: Request, explain: Explain | None = None) -> list[Target] | Verdict:
    """The callables that a request names, or the verdict that says why there are none."""
    return _attempt(request.target, lambda: resolve(request.target), explain)


def judge_found(request: Request, target: Target, explain: Explain | None = None) -> list[Verdict]:
    """The verdicts on one callable of a request."""
    claims = claims_of(request.claims)
    found = _attempt(
        target.name,
        lambda: judge_target(
            target, request.roles, request.settings, request.placement, request.options, claims, request.demanded
        ),
        explain,
    )
    return [found] if isinstance(found, Verdict) else found


def judge_here(request: Request, hear: Callable[[str], None]) -> Iterator[Verdict]:
    """The verdicts of a request, in this process; ``hear`` is told what a user should know beside them."""
    found = find(request)
    if isinstance(found, Verdict):
        yield found
        return
    for target in found:
        if target.note:
            hear(target.note)
        yield from judge_found(request, target)


def _attempt(name: str, run: Callable[[], list[T]], explain: Explain | None) -> list[T] | Verdict:
    """What ``run`` answers; a verdict with the error where it raises. A defect of kl-oracle stops no other target."""
    try:
        return run()
    except Exception as error:
        if explain is not None and (words := explain(error)) is not None:
            return failed_to_run(name, OracleError(f"{name} {words}"))
        if isinstance(error, OracleError):
            return failed_to_run(name, error)
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename.replace(chr(92), '/').rpartition('/')[2]}, line {last.lineno}"
        text = " ".join(str(error).split())[:160]
        defect = f"{name}: kl-oracle itself failed, {type(error).__name__}: {text} ({where}); please report it"
        return failed_to_run(name, OracleError(defect))
