"""The command ``kl-oracle selftest``."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output."
)
def selftest(jobs: int, form: str) -> None:
    """Judge a catalogue of planted faults and of correct losses: the error rates of kl-oracle here.

    Exit status: 0 all mutants are found and no correct loss is accused, 1 otherwise.
    """
    import msgspec

    from oracle.reporters.progress import progress
    from oracle.selftest.report import as_text
    from oracle.selftest.run import run, subjects

    mutants, correct = subjects()
    with progress(len(mutants) + len(correct)) as step:
        report = run(jobs, step)
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n" if form == "json" else None
    click.echo(text or as_text(report), nl=False)
    sys.exit(1 if report.rows else 0)
