"""``python -m oracle.trust --count 10000``: judge random correct programs, and say how often the tool was wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True, help="Programs to judge.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the programs.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".kl-oracle/trust"),
    show_default=True,
    help="Where outcomes are kept (a run goes on from them), and programs that were judged wrongly.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output."
)
def main(count: int, seed: int, jobs: int, folder: Path, form: str) -> None:
    """Judge random correct programs whose verdict is known. Exit status 1 if a verdict is wrong."""
    from oracle.trust.run import report, run

    def step(done: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {count}", err=True, nl=False)

    numbers = report(run(seed, count, jobs, folder, step))
    click.echo(json.dumps(numbers, indent=2) if form == "json" else _text(numbers, folder), nl=form == "json")
    sys.exit(1 if numbers["wrong"] or numbers["disagreements"] or numbers["known_is_wrong"] else 0)


def _text(numbers: dict[str, Any], folder: Path) -> str:
    lines = [
        f"programs                        {numbers['programs']}",
        f"wrong verdicts                  {len(numbers['wrong'])}",
        f"reading and probing disagree    {len(numbers['disagreements'])}",
        f"the grammar itself is wrong     {len(numbers['known_is_wrong'])}",
        f"read as a formula               {numbers['read']}",
        f"only probed                     {numbers['only_probed']}",
        f"processor time                  {numbers['processor_seconds']} s",
    ]
    for title, table in (
        ("evidence (on-policy/off-policy)", numbers["evidence"]),
        ("why no formula was read", numbers["unread"]),
        ("read, and yet tested (form)", numbers["tested_though_read"]),
    ):
        lines += ["", title, *(f"  {n:>6}  {what}" for what, n in table.items())]
    bad = sorted({*numbers["wrong"], *numbers["disagreements"], *numbers["known_is_wrong"]})
    if bad:
        lines += ["", f"saved in {folder}: programs {', '.join(map(str, bad[:20]))}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
