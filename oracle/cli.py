"""The command line: the group ``kl-oracle`` and the commands of this package.

Subcommands are found through the entry-point group ``kl_oracle.commands``. Nothing heavy is imported until a command
runs: ``kl-oracle --version`` loads neither torch nor SymPy.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from oracle import __version__
from oracle.errors import OracleError

_GROUP = "kl_oracle.commands"


class _Commands(click.Group):
    """A group whose commands are entry points, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(e.name for e in entry_points(group=_GROUP))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        for entry in entry_points(group=_GROUP):
            if entry.name == cmd_name:
                command: click.Command = entry.load()
                return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with the nearest command named where there is none."""
        from difflib import get_close_matches

        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the commands are {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kl-oracle", message="%(prog)s %(version)s")
def main() -> None:
    """Name the objective that the KL term of an RLHF loss really descends."""


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that identify and check have in common."""

    def option(*names: str, **how: Any) -> None:
        nonlocal command
        command = click.option(*names, **how)(command)

    option(
        "--max-examples", type=click.IntRange(1), default=20, show_default=True, help="Inputs drawn for cross-checks."
    )
    option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is drawn.")
    option("--report", "reports", multiple=True, metavar="FORMAT=PATH", help="Also write a report to a file.")
    option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output.")
    option("--placement", type=click.Choice(["loss", "reward"]), help="Judge a penalty in one place only.")
    option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a parameter: --set kl_penalty=k3.")
    option("--role", "roles", multiple=True, metavar="PARAMETER=ROLE", help="Say a role: --role base=reference.")
    return command


@main.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_shared
def identify(targets: tuple[str, ...], **options: Any) -> None:
    """Say which objective the gradient of each TARGET descends, on- and off-policy.

    A TARGET is path/file.py:function or package.module:function; path/file.py alone, or path/file.py:k*, names all
    functions that match. Exit status: 0 all were judged, 2 one could not be.
    """
    verdicts = _run(targets, **options)
    sys.exit(2 if any(v.error for v in verdicts) else 0)


@main.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="CLAIM",
    help='What the targets must be, e.g. "k3 as loss" or "reverse_kl/token off-policy".',
)
@click.option("--strict", is_flag=True, help="Count warnings as failures.")
@_shared
def check(targets: tuple[str, ...], claims: tuple[str, ...], strict: bool, **options: Any) -> None:
    """Hold each TARGET against the checks and the claims.

    Exit status: 0 all hold, 1 a claim or a check (severity error; with --strict also warning) failed, 2 a target could
    not be judged.
    """
    verdicts = _run(targets, claims=claims, demanded=True, **options)
    grave = {"error", "warning"} if strict else {"error"}
    failed = any(f.outcome == "fail" and f.severity in grave for v in verdicts for f in v.findings)
    broken = any(v.error or v.outcome == "inconclusive" for v in verdicts)
    sys.exit(2 if broken else 1 if failed else 0)


@contextlib.contextmanager
def _no_traces() -> Iterator[None]:
    """What Hypothesis keeps between runs goes to a folder that is removed, not into the user's."""
    name = "HYPOTHESIS_STORAGE_DIRECTORY"
    if name in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kl-oracle-") as folder:
        os.environ[name] = folder
        try:
            yield
        finally:
            del os.environ[name]


def _run(
    targets: tuple[str, ...],
    roles: tuple[str, ...],
    settings: tuple[str, ...],
    placement: str | None,
    form: str,
    reports: tuple[str, ...],
    seed: int,
    max_examples: int,
    claims: tuple[str, ...] = (),
    demanded: bool = False,
) -> list[Any]:
    """Judge all targets; one that cannot be judged says so on stderr and does not stop the others."""
    files = [_report(r) for r in reports]
    from oracle.case import Options
    from oracle.claims import consistent, parse_claim
    from oracle.judge import failed_to_run, judge_target
    from oracle.reporters import REPORTERS
    from oracle.reporters.progress import progress
    from oracle.subject.target import resolve

    try:
        parsed = [parse_claim(c) for c in claims]
        consistent(parsed)
    except OracleError as error:
        raise click.UsageError(str(error)) from error
    verdicts: list[Any] = []
    with _no_traces(), progress(len(targets)) as step:
        for text in targets:
            step(text)
            try:
                found = resolve(text)
            except OracleError as error:
                verdicts.append(failed_to_run(text, error))
                continue
            for target in found:
                if target.note:
                    click.echo(f"kl-oracle: {target.note}", err=True)
                try:
                    verdicts += judge_target(
                        target, roles, settings, placement, Options(seed, max_examples), parsed, demanded  # type: ignore[arg-type]
                    )  # fmt: skip
                except OracleError as error:
                    verdicts.append(failed_to_run(target.name, error))
    click.echo(REPORTERS[form](verdicts), nl=False)
    for kind, path in files:
        path.write_text(REPORTERS[kind](verdicts), encoding="utf-8")
    for v in verdicts:
        if v.error:
            click.echo(f"kl-oracle: {v.error}", err=True)
    return verdicts


def _report(text: str) -> tuple[str, Path]:
    kind, _, path = text.partition("=")
    if kind not in ("text", "json") or not path:
        raise click.UsageError(f"--report {text}: write FORMAT=PATH with FORMAT text or json")
    if not Path(path).parent.is_dir():
        raise click.UsageError(f"--report {text}: there is no folder {Path(path).parent}")
    return kind, Path(path)


@main.command()
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What is printed."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is drawn.")
@click.argument("names", nargs=-1, metavar="[LIBRARY...]")
def libraries(names: tuple[str, ...], form: str, seed: int) -> None:
    """Judge every KL function of the RLHF libraries that are installed here (or of the LIBRARY named)."""
    from oracle.libraries import judge_installed
    from oracle.libraries.table import as_json, as_table
    from oracle.reporters.progress import progress

    try:
        with _no_traces(), progress(None) as step:
            rows, absent = judge_installed(names, seed, step)
    except OracleError as error:
        raise click.UsageError(str(error)) from error
    click.echo(as_json(rows, absent) if form == "json" else as_table(rows, absent), nl=False)
    sys.exit(2 if any(r.error for r in rows) else 0)
