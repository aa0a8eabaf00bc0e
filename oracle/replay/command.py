"""``kl-oracle replay``: run a saved failure again, or write it as a script."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oracle.errors import OracleError
from oracle.escaping import plain
from oracle.replay.home import home

if TYPE_CHECKING:
    from oracle.replay.cases import SavedCase
    from oracle.replay.rerun import Replayed

_SAID = {
    "reproduced": "reproduced: the same failure, bit for bit",
    "changed": "changed: it still fails, with other numbers",
    "gone": "not reproduced: it no longer fails",
}


@click.command()
@click.argument("case", required=False, metavar="[ID]")
@click.option("--cases", metavar="DIR", help="Where the cases are. [default: KL_ORACLE_HOME, or .kl-oracle]")
@click.option(
    "--snippet",
    is_flag=False,
    flag_value="-",
    metavar="[PATH]",
    help="Write the case as a Python script that needs torch alone; without a PATH, print it.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output."
)
def replay(case: str | None, cases: str | None, snippet: str | None, form: str) -> None:
    """Run the saved failure ID again, and say whether it is still there; without an ID, list what is saved.

    The beginning of an ID is enough where only one begins so. Exit status: 0 it no longer fails, 1 it still fails,
    2 it could not be run.
    """
    from oracle.replay.cases import load

    folder = home(cases)
    try:
        if case is None:
            if snippet is not None:
                raise click.UsageError("--snippet needs the ID of a case; kl-oracle replay lists them")
            _list(folder, form)
            return
        saved = load(case, folder)
        if snippet is not None:
            _write(saved, snippet)
            return
        from oracle.replay.rerun import rerun

        found = rerun(saved)
    except OracleError as error:
        raise click.UsageError(plain(str(error), 600)) from error
    click.echo(_as_json(saved, found) if form == "json" else _as_text(saved, found), nl=False)
    sys.exit(0 if found.word == "gone" else 1)


def _list(folder: Path, form: str) -> None:
    from oracle.replay.cases import known, load

    found = [load(i, folder) for i in known(folder)]
    if form == "json":
        rows = [{"id": s.id, "check": s.check, "claim": s.claim, "target": s.target} for s in found]
        click.echo(json.dumps(rows, indent=2))
        return
    for saved in found:
        click.echo(f"{saved.id}  {plain(_title(saved), 160)}")
    if not found:
        click.echo(f"no failure is saved in {folder}", err=True)


def _write(saved: SavedCase, path: str) -> None:
    from oracle.replay.snippet import script_of

    text = script_of(saved)
    if path == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--snippet {path} cannot be written: {error}") from error
    click.echo(f"{path} is written; run it with python, where {saved.target.partition(':')[0]} is", err=True)


def _title(saved: SavedCase) -> str:
    what = f"claim {saved.claim!r}" if saved.claim is not None else saved.check
    place = {"loss": " as loss", "reward": " in reward"}.get(saved.placement, "")
    return f"{what} fails on {saved.target}{place}"


def _as_text(saved: SavedCase, found: Replayed) -> str:
    lines = [_title(saved)]
    if saved.witness is not None and found.seen is not None:
        from oracle.replay.witness import described

        shown = described(saved.witness, found.seen)
        given = ", ".join(f"{n} {x}" for n, x in shown.items() if n not in ("expected", "actual"))
        lines += [f"  {given}", f"  expected {shown['expected']}", f"  actual   {shown['actual']}"]
    elif found.finding is not None:
        lines.append(f"  {found.finding.message}")
    lines += [f"  {w}" for w in _verdict(saved, found)]
    return "".join(f"{plain(line.replace(chr(39), '') if i else line, 4000)}\n" for i, line in enumerate(lines))


def _verdict(saved: SavedCase, found: Replayed) -> list[str]:
    out = [_SAID[found.word]]
    if found.code_changed:
        out.append("the file is not the one that was judged (its sha256 differs)")
    elif found.word != "reproduced":
        from oracle.replay.keep import versions

        now = versions()
        moved = [f"{n} {v} then, {now.get(n, 'absent')} now" for n, v in saved.versions.items() if now.get(n) != v]
        out.append(f"the file is the same; {', '.join(moved) or 'the versions are the same too'}")
    return out


def _as_json(saved: SavedCase, found: Replayed) -> str:
    import msgspec

    record: dict[str, Any] = {
        "schema": "kl-oracle/replay/1",
        "id": saved.id,
        "result": found.word,
        "code_changed": found.code_changed,
        "check": saved.check,
        "claim": saved.claim,
        "target": saved.target,
        "placement": saved.placement,
    }
    if saved.witness is not None and found.seen is not None:
        from oracle.replay.witness import described

        record["case"] = described(saved.witness, found.seen)
    elif found.finding is not None:
        record["message"] = found.finding.message
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n"
