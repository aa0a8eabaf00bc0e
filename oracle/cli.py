"""The command line: the group ``kl-oracle`` and the commands of this package.

Subcommands are found through the entry-point group ``kl_oracle.commands``. Nothing heavy is imported until a command
runs: ``kl-oracle --version`` loads neither torch nor SymPy.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oracle import __version__
from oracle.errors import OracleError
from oracle.escaping import plain

if TYPE_CHECKING:
    from oracle.configuration import Configuration
    from oracle.isolation import Limits
    from oracle.running import Request

_LONGEST = 600
"""Characters of an error that are shown: two lines or so of a wide terminal, however long the name in it is."""

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

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """As click does; what an error shows of the user's text is escaped."""
        with _plain_errors():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; what an error shows of the user's text is escaped."""
        with _plain_errors():
            return super().invoke(ctx)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.message = plain(error.message, _LONGEST)  # type: ignore[misc]
        raise


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
    option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of all that is drawn.")
    option("--report", "reports", multiple=True, metavar="FORMAT=PATH", help="Also write a report to a file.")
    option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output.")
    option("--placement", type=click.Choice(["loss", "reward"]), help="Judge a penalty in one place only.")
    option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a parameter: --set kl_penalty=k3.")
    option("--role", "roles", multiple=True, metavar="PARAMETER=ROLE", help="Say a role: --role base=reference.")
    option(
        "--memory", type=click.IntRange(1, 2**20), metavar="MB", help="With --isolate: memory of each. [default: 4096]"
    )
    option(
        "--timeout",
        type=click.FloatRange(0, 1e6, min_open=True),
        metavar="SECONDS",
        help="With --isolate: time of each. [default: 120]",
    )
    option("--isolate", is_flag=True, help="Judge each target in a process of its own.")
    option("--no-save", is_flag=True, help="Save no failure for kl-oracle replay.")
    option("--cases", metavar="DIR", help="Where failures are saved. [default: KL_ORACLE_HOME, or .kl-oracle]")
    return command


@main.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_shared
def identify(targets: tuple[str, ...], **options: Any) -> None:
    """Say which objective the gradient of each TARGET descends, on- and off-policy.

    A TARGET is path/file.py:function or package.module:function; path/file.py alone, or path/file.py:k*, names all
    functions that match. Exit status: 0 all were judged, 2 one could not be.
    """
    output = _output(options)
    verdicts = _run(_requests(targets, **options), **output)
    sys.exit(2 if any(v.error for v in verdicts) else 0)


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="CLAIM",
    help='What the targets must be, e.g. "k3 as loss" or "reverse_kl/token off-policy".',
)
@click.option("--strict", is_flag=True, help="Count warnings as failures.")
@click.option("--config", metavar="PATH", help="The file whose [tool.kl-oracle] names the subjects.")
@_shared
def check(targets: tuple[str, ...], strict: bool, config: str | None, **options: Any) -> None:
    """Hold each TARGET against the checks and the claims; without a TARGET, the subjects of [tool.kl-oracle].

    These are in the nearest pyproject.toml, from this folder upward. Exit status: 0 all hold, 1 a claim or a check
    (severity error; with --strict also warning) failed, 2 a target could not be judged.
    """
    output = _output(options)
    if targets and config is not None:
        raise click.UsageError("--config names the subjects; give it without a TARGET, or leave it out")
    if targets:
        verdicts = _run(_requests(targets, demanded=True, **options), **output)
    else:
        verdicts = _run_configured(config, output, **options)
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


def _output(options: dict[str, Any]) -> dict[str, Any]:
    """Take out of the options what says how to run and where to report, checked before anything heavy is loaded."""
    options["cases"] = _cases(options.pop("no_save"), options.pop("cases"))
    limits = _limits(options.pop("isolate"), options.pop("timeout"), options.pop("memory"))
    return {"form": options.pop("form"), "files": [_report(r) for r in options.pop("reports")], "limits": limits}


def _cases(off: bool, given: str | None) -> str | None:
    """The folder that failures are saved in; a configuration is judged in another one, so it is absolute."""
    if off and given is not None:
        raise click.UsageError("--no-save saves nothing, so --cases has no use; leave one out")
    from oracle.replay.home import home

    return None if off else str(home(given).absolute())


def _limits(isolate: bool, timeout: float | None, memory: int | None) -> Limits | None:
    for name, value in (("--timeout", timeout), ("--memory", memory)):
        if value is not None and not isolate:
            raise click.UsageError(f"{name} is the limit of a process; add --isolate")
    if not isolate:
        return None
    if timeout is not None and timeout != timeout:
        raise click.UsageError("--timeout nan is no time; write a number of seconds")
    from oracle.isolation.limits import Limits, explain_absence, limits_memory

    if (absence := explain_absence()) is not None:
        raise click.UsageError(absence)
    if not limits_memory():
        if memory is not None:
            raise click.UsageError("--memory: this system holds no process to such a limit; leave it out")
        _say("this system limits no memory: --isolate limits the time alone")
    usual = Limits()
    return Limits(timeout=timeout or usual.timeout, memory=memory or usual.memory)


def _requests(
    targets: Sequence[str],
    roles: Sequence[str] = (),
    settings: Sequence[str] = (),
    placement: str | None = None,
    claims: Sequence[str] = (),
    demanded: bool = False,
    **options: Any,
) -> list[Request]:
    """One request a target; a claim that cannot be parsed is a mistake of usage."""
    from oracle.case import Options
    from oracle.running import Request, claims_of

    try:
        claims_of(claims)
    except OracleError as error:
        raise click.UsageError(str(error)) from error
    return [
        Request(
            target=text,
            roles=tuple(roles),
            settings=tuple(settings),
            placement=placement,  # type: ignore[arg-type]
            claims=tuple(claims),
            options=Options(**options),
            demanded=demanded,
        )
        for text in targets
    ]


def _run_configured(config: str | None, output: dict[str, Any], **options: Any) -> list[Any]:
    """Run the subjects of the configuration, from its folder; what is said of a subject stands there."""
    for name, key in (("--claim", "claims"), ("--role", "roles"), ("--set", "settings"), ("--placement", "placement")):
        if options.pop(key):
            raise click.UsageError(f"{name} is about a TARGET; name one, or write it into [tool.kl-oracle]")
    from oracle.configuration import settings_of

    found = _configuration(config)
    requests: list[Request] = []
    for number, entry in enumerate(found.subjects, 1):
        try:
            requests += _requests(
                [entry.target],
                [f"{n}={r}" for n, r in entry.roles.items()],
                settings_of(entry),
                entry.placement,
                entry.claims,
                demanded=True,
                **options,
            )
        except click.UsageError as error:
            raise click.UsageError(f"{found.path}, subject {number}: {error.message}") from error
    with _inside(found.path.parent):
        return _run(requests, **output, expected=[entry.expected_failures for entry in found.subjects])


def _configuration(config: str | None) -> Configuration:
    from oracle.checks import CHECKS
    from oracle.configuration import find, load

    try:
        path = Path(config) if config is not None else find(Path.cwd())
        if path is None:
            raise click.UsageError(
                "there is no TARGET, and no pyproject.toml with [tool.kl-oracle] from this folder upward; "
                "write kl-oracle check path/file.py:function"
            )
        return load(path, CHECKS)
    except OracleError as error:
        raise click.UsageError(str(error)) from error


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder: the targets of a configuration are relative to it, and so is what its subjects open."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _run(
    requests: Sequence[Request],
    form: str,
    files: Sequence[tuple[str, Path]],
    limits: Limits | None = None,
    expected: Sequence[Mapping[str, str]] = (),
) -> list[Any]:
    """Judge all requests; a target that cannot be judged says so on stderr and does not stop the others."""
    from oracle.expectations import with_expected
    from oracle.reporters import REPORTERS
    from oracle.reporters.progress import progress
    from oracle.running import judge_here
    from oracle.streams import say, stdout_kept

    verdicts: list[Any] = []
    with _no_traces(), progress(len(requests)) as step, stdout_kept():
        for number, request in enumerate(requests):
            step(plain(request.target, 80))
            if limits is None:
                found = list(judge_here(request, _say))
            else:
                from oracle.isolation import judge_isolated

                found = list(judge_isolated(request, limits, _say))
            verdicts += with_expected(found, expected[number]) if expected else found
    say(REPORTERS[form](verdicts))
    for kind, path in files:
        try:
            path.write_text(REPORTERS[kind](verdicts), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise click.UsageError(f"--report {kind}={path} cannot be written: {error}") from error
    for v in verdicts:
        if v.error:
            _say(v.error)
    return verdicts


def _say(text: str) -> None:
    """A line on stderr."""
    click.echo(f"kl-oracle: {plain(text, _LONGEST)}", err=True)


def _report(text: str) -> tuple[str, Path]:
    kind, _, path = text.partition("=")
    if kind not in ("text", "json") or not path:
        raise click.UsageError(f"--report {text}: write FORMAT=PATH with FORMAT text or json")
    try:
        there, taken = Path(path).parent.is_dir(), Path(path).is_dir()
    except OSError as error:  # a name too long for the system
        raise click.UsageError(f"--report {text}: {error.strerror}; write another PATH") from error
    if not there:
        raise click.UsageError(f"--report {text}: there is no folder {Path(path).parent}")
    if taken:
        raise click.UsageError(f"--report {text}: {path} is a folder; write the path of a file")
    return kind, Path(path).absolute()


@main.command()
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What is printed."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of all that is drawn."
)
@click.argument("names", nargs=-1, metavar="[LIBRARY...]")
def libraries(names: tuple[str, ...], form: str, seed: int) -> None:
    """Judge every KL function of the RLHF libraries that are installed here (or of the LIBRARY named)."""
    from oracle.libraries import judge_installed
    from oracle.libraries.table import as_json, as_table
    from oracle.reporters.progress import progress
    from oracle.streams import say, stdout_kept

    try:
        with _no_traces(), progress(None) as step, stdout_kept():
            rows, absent = judge_installed(names, seed, step)
    except OracleError as error:
        raise click.UsageError(str(error)) from error
    say(as_json(rows, absent) if form == "json" else as_table(rows, absent))
    sys.exit(2 if any(r.error for r in rows) else 0)
