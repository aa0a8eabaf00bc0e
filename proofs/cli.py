"""The commands `derive` and `prove`. SymPy is imported only when they run."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from proofs.ledger import Entry
    from proofs.theorem import Theorem


@click.command("derive", context_settings={"ignore_unknown_options": True})
@click.argument("expression", metavar="EXPR")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.option(
    "--report",
    "reports",
    metavar="FORMAT=PATH",
    multiple=True,
    help="Write a report too: html, pdf, tex, md or json. May be given several times.",
)
@click.pass_context
def derive(context: click.Context, expression: str, output: str, reports: tuple[str, ...]) -> None:
    """Derive what an estimator's gradient descends, as loss and in reward.

    EXPR is a name (k1, k2, k3, abs, mse, low_var_kl) or an expression in
    L = log(policy/reference) and those names, such as "exp(-L) - 1 + L",
    "clamp(k3, -10, 10)" or "where(L > 0, k1, k2)".
    """
    from proofs.calculus import Undecided
    from proofs.derivation import dead_text, to_json
    from proofs.derivation import derive as derive_forms
    from proofs.estimators import EstimatorError, parse_estimator
    from proofs.report.destination import parse_destination
    from proofs.report.errors import ReportError
    from proofs.report.write import write_derivation

    try:
        destinations = [parse_destination(report) for report in reports]
        derivation = derive_forms(parse_estimator(expression))
    except (EstimatorError, ReportError) as error:
        click.echo(f"kl-oracle derive: {error}", err=True)
        context.exit(2)
    except (Undecided, ArithmeticError, RecursionError) as error:
        click.echo(f"kl-oracle derive: beyond what can be derived: {_one_line(error)}", err=True)
        context.exit(2)
    written = expression.strip()
    try:
        for form, path in destinations:
            write_derivation(form, path, derivation, written)
    except ReportError as error:
        click.echo(f"kl-oracle derive: {error}", err=True)
        context.exit(2)
    if output == "json":
        click.echo(json.dumps(to_json(derivation, written), indent=2))
        return
    from rich.console import Console

    from proofs.report.terminal import print_derivation

    print_derivation(derivation, written, Console(highlight=False))
    click.echo(dead_text(derivation))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


@click.command("prove")
@click.argument("theorems", nargs=-1, metavar="[THEOREM]...")
@click.option(
    "--engine", "engines", multiple=True, metavar="NAME", help="Ask this engine only. May be given several times."
)
@click.option(
    "--without", "excluded", multiple=True, metavar="NAME", help="Ask all engines but this one: --without coq."
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.option(
    "--report",
    "reports",
    metavar="FORMAT=PATH",
    multiple=True,
    help="Write a report too: html, pdf, tex, md or json. May be given several times.",
)
@click.option("--jobs", type=click.IntRange(1), help="Processes to use.  [default: one for each core]")
@click.pass_context
def prove(
    context: click.Context,
    theorems: tuple[str, ...],
    engines: tuple[str, ...],
    excluded: tuple[str, ...],
    output: str,
    reports: tuple[str, ...],
    jobs: int | None,
) -> None:
    """Prove the theorems that verdicts rest on, on several engines, and refuse the false statements.

    THEOREM is an id, as `identify` names it, or a pattern such as "k3-*"; without one the whole catalogue
    is run and printed as a ledger. Coq, which compiles the whole catalogue first, is asked about single
    theorems only with --engine coq. The exit status is 1 where an answer is not as the catalogue expects.
    """
    from proofs.engines.registry import UnknownEngine, select
    from proofs.report.destination import check_destination, parse_destination
    from proofs.report.errors import ReportError

    try:
        destinations = [parse_destination(report) for report in reports]
        for form, path in destinations:
            check_destination(form, path)
        names = select(engines, excluded, few=bool(theorems))
    except (ReportError, UnknownEngine) as error:
        click.echo(f"kl-oracle prove: {error}", err=True)
        context.exit(2)
    wanted, entries = _proved(context, theorems, names, jobs)
    from proofs.ledger import wrong
    from proofs.prove import title
    from proofs.report.write import write_report

    titles = {name: title(name) for name in names}
    complaints = wrong(entries, 0 if engines or excluded else 2)
    try:
        for form, path in destinations:
            write_report(form, path, wanted, entries, titles)
    except ReportError as error:
        click.echo(f"kl-oracle prove: {error}", err=True)
        context.exit(2)
    if output == "json":
        from proofs.report.record import ledger_record

        click.echo(json.dumps(ledger_record(wanted, entries, titles), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        from proofs.report.ledger_table import print_ledger
        from proofs.report.theorem_text import print_theorem

        console = Console(highlight=False)
        if theorems and len(wanted) <= _SHOWN_WHOLE:
            for theorem in wanted:
                print_theorem(theorem, [entry for entry in entries if entry.theorem is theorem], console)
        else:
            print_ledger(wanted, entries, console, titles)
    for line in complaints:
        click.echo(f"not as expected: {line}", err=True)
    context.exit(1 if complaints else 0)


def _proved(
    context: click.Context, patterns: Sequence[str], names: Sequence[str], jobs: int | None
) -> tuple[Sequence[Theorem], Sequence[Entry]]:
    """The theorems of these patterns, and what the engines found."""
    from proofs.processes import cores, processes

    jobs = jobs or cores()
    # for the whole catalogue: the processes read it while this one does
    early = contextlib.nullcontext() if patterns or jobs == 1 else processes(jobs)
    with _no_garbage_collection(), early as executor:
        from proofs.prove import UnknownTheorem, chosen, prove

        try:
            wanted = chosen(patterns)
        except UnknownTheorem as error:
            click.echo(f"kl-oracle prove: {error}", err=True)
            context.exit(2)
        with _progress() as watch:
            return wanted, prove(wanted, names, jobs, executor, watch)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The catalogue's expressions stay: searching them for garbage again and again takes time alone."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_SHOWN_WHOLE = 8
"""Up to so many theorems are shown with their derivations; more as a ledger."""


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """On stderr, and only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("proving", total=None)
        yield lambda done, every: progress.update(task, completed=done, total=every)
