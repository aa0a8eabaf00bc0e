"""The subcommand of this package: `kl-oracle audit`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gpu_checks.audit.cell import Plan
    from gpu_checks.audit.records import Audit
    from gpu_checks.subject import Subject

_BACKENDS = ("auto", "numpy", "torch", "host", "triton-interpreter", "cuda")
_FORMATS = ("text", "json", "html", "sarif")
_LARGEST = 2**22


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--list", "listing", is_flag=True, help="Show the bundled subjects.")
@click.option("--claim", metavar="CLAIM", help='What it has to be: "k3 as loss", reverse_kl. [default: the subject\'s]')
@click.option(
    "--vocab",
    "vocabularies",
    type=click.IntRange(64, _LARGEST),
    multiple=True,
    help="Vocabulary; several make a grid. [default: 128256]",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    multiple=True,
    help="Storage format; several make a grid. [default: float32]",
)
@click.option(
    "--backend", "backends", type=click.Choice(_BACKENDS), multiple=True, help="Where to run it. [default: auto]"
)
@click.option("--role", "roles", multiple=True, metavar="PARAMETER=ROLE", help="Say a role: --role base=reference.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a parameter: --set kl_penalty=k3.")
@click.option("--faults", is_flag=True, help="Plant faults in the bundled TARGETs (all, without one); each must fail.")
@click.option("--compile", "compiling", is_flag=True, help="Compile every bundled kernel for sm_80 to sm_120.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the inputs.")
@click.option("--fresh", is_flag=True, help="Run cells again that are kept from an earlier run.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True, help="Output.")
@click.option("--report", "reports", multiple=True, metavar="FORMAT=PATH", help="Also write a report to a file.")
def audit(
    targets: tuple[str, ...],
    listing: bool,
    claim: str | None,
    vocabularies: tuple[int, ...],
    dtypes: tuple[str, ...],
    backends: tuple[str, ...],
    roles: tuple[str, ...],
    settings: tuple[str, ...],
    faults: bool,
    compiling: bool,
    seed: int,
    fresh: bool,
    form: str,
    reports: tuple[str, ...],
) -> None:
    """Hold large-vocabulary kernels against derived error bounds, and say what ran where.

    A TARGET is a bundled subject (--list), or path/file.py:function or package.module:function, a PyTorch function that
    runs on the CPU. Exit status: 0 all pass (every planted fault is caught), 1 one fails, 2 one could not be run.
    """
    if listing:
        _list()
        return
    files = [_destination(report) for report in reports]
    if faults or compiling:
        for name, given in (
            ("--claim", claim),
            ("--vocab", vocabularies),
            ("--dtype", dtypes),
            ("--backend", backends),
        ):
            if given:
                raise click.UsageError(f"{name} is about auditing a TARGET; leave it out with --faults and --compile")
        found = _beside(targets, faults, compiling)
    else:
        if not targets:
            raise click.UsageError("name a TARGET: a bundled subject (--list shows them) or path/file.py:function")
        subjects = _subjects(targets, claim, roles, settings, backends)
        from gpu_checks.audit.grid import plans

        sizes = tuple(vocabularies) or (128_256,)
        cells = plans(subjects, claim, backends or ("auto",), dtypes or ("float32",), sizes, seed)
        found = _run(cells, resume=not fresh)
    _write(found, form, files)
    sys.exit(_status(found))


def _status(found: Audit) -> int:
    outcomes = {cell.outcome for cell in found.cells} | {fault.outcome for fault in found.faults}
    if outcomes & {"fails", "missed"} or any(not record.compiles for record in found.compiled):
        return 1
    return 2 if "not run" in outcomes or (found.absent and not found.cells) else 0


def _beside(targets: Sequence[str], faults: bool, compiling: bool) -> Audit:
    """Planted faults and compilations: about the bundled kernels, and with limits of their own."""
    from gpu_checks.audit.compiled import compile_all
    from gpu_checks.audit.planted import TOLERANCES, judge, planted, unbroken
    from gpu_checks.audit.records import Audit
    from gpu_checks.subjects import bundled
    from oracle import __version__
    from oracle.streams import stdout_kept

    subjects = _subjects(targets, None, (), (), ()) if targets else list(bundled().values())
    plants = planted(subjects) if faults else []
    if faults and not plants:
        raise click.UsageError(f"no faults are planted in {', '.join(targets)}; --list shows the bundled subjects")
    with _progress(len(plants)) as (watch, step), stdout_kept():
        cells = list(unbroken(plants, lambda plan: watch(plan, "unbroken")))
        judged = []
        for plant in plants:
            watch(plant.plan, plant.name)
            judged.append(judge(plant))
            step()
        records, absent = compile_all() if compiling else ([], [])
    return Audit(
        version=__version__,
        cells=cells,
        faults=judged,
        tolerances=dict(TOLERANCES) if faults else {},
        compiled=records,
        absent=absent,
    )


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from gpu_checks.subjects import bundled
    from oracle.reporters.console import as_text

    table = Table(show_edge=False, pad_edge=False, header_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in ("subject", "claim", "backends", "what it is"):
        table.add_column(name, overflow="fold")
    for subject in bundled().values():
        table.add_row(subject.name, subject.claim, ", ".join(subject.backends), subject.title)

    def paint(console: Console) -> None:
        console.print(table)

    click.echo(as_text(paint, 80, 110, 140), nl=False)


def _subjects(
    targets: Sequence[str], claim: str | None, roles: Sequence[str], settings: Sequence[str], backends: Sequence[str]
) -> list[Subject]:
    from gpu_checks.subjects import bundled, nearest
    from oracle.errors import OracleError

    found: list[Subject] = []
    for target in targets:
        if target in bundled():
            if roles or settings:
                raise click.UsageError(f"--role and --set are about a function; {target} is a bundled subject")
            found.append(bundled()[target])
        elif ":" not in target and not target.endswith(".py"):
            close = nearest(target)
            hint = f"did you mean {close!r}?" if close else "--list shows them"
            raise click.UsageError(
                f"there is no bundled subject {target!r}; {hint} A function is path/file.py:function"
            )
        elif claim is None:
            raise click.UsageError(f'{target} needs a --claim, such as "k3 as loss" or reverse_kl')
        else:
            from gpu_checks.subjects.functions import subjects_of

            try:
                found += subjects_of(target, claim, roles, settings, "triton-interpreter" in backends)
            except OracleError as error:
                raise click.UsageError(f"{error}{_hint(str(error))}") from error
    _check_claim(found, claim)
    return found


def _hint(text: str) -> str:
    """What Triton says where no device is found."""
    on_triton = "active drivers" in text or "@triton.jit" in text
    return "; Triton kernels run on the CPU with --backend triton-interpreter" if on_triton else ""


def _check_claim(subjects: Sequence[Subject], claim: str | None) -> None:
    from gpu_checks.bounds.sampled import formula_of
    from gpu_checks.bounds.whole import formula_of_objective
    from oracle.errors import ClaimError

    for subject in subjects:
        said = claim or subject.claim
        try:
            if subject.family == "sampled":
                formula_of(said)
            elif subject.family == "whole":
                formula_of_objective(said)
            elif said != subject.claim:
                raise ClaimError(
                    f"{subject.name} draws tokens; it is held against {subject.claim!r}, leave --claim out"
                )
        except ClaimError as error:
            raise click.UsageError(str(error)) from error


def _destination(report: str) -> tuple[str, Path]:
    form, _, path = report.partition("=")
    if form not in _FORMATS or not path:
        raise click.UsageError(f"--report {report}: write FORMAT=PATH with one of {', '.join(_FORMATS)}")
    destination = Path(path)
    if not destination.parent.is_dir() or destination.is_dir():
        raise click.UsageError(f"--report {report}: {destination.parent} is no folder that a file can be written in")
    return form, destination


def _run(cells: Sequence[Plan], resume: bool) -> Audit:
    from gpu_checks.audit.grid import run_grid
    from gpu_checks.audit.records import Audit
    from oracle import __version__
    from oracle.streams import stdout_kept

    done = []
    with _progress(len(cells)) as (watch, step), stdout_kept():
        for cell in run_grid(cells, resume, watch):
            done.append(cell)
            step()
    return Audit(version=__version__, cells=done)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[Plan, str], None], Callable[[], None]]]:
    """A bar on stderr, and only on a terminal."""
    if not sys.stderr.isatty():
        yield (lambda _plan, _check: None), (lambda: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def watch(plan: Plan, check: str) -> None:
            bar.update(task, description=f"{plan.subject.name} {plan.dtype} V = {plan.vocabulary}: {check}")

        yield watch, lambda: bar.advance(task)


def _write(found: Audit, form: str, files: Sequence[tuple[str, Path]]) -> None:
    from gpu_checks.reporters import REPORTERS
    from gpu_checks.reporters.page import PageError
    from oracle.streams import say

    try:
        say(REPORTERS[form](found))
        for kind, path in files:
            path.write_text(REPORTERS[kind](found), encoding="utf-8")
    except PageError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"the report cannot be written: {error}") from error
