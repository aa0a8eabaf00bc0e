"""`python -m gpu_checks.on_device`: all that only a device can show, in one run, as a file of evidence.

Exit status: 0 all of it holds, 1 something fails (the lines say what), 2 there is no device: NOT_RUN.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gpu_checks.backends.device import device_state

if TYPE_CHECKING:  # an audit imports much: a machine without a device is told so at once
    from gpu_checks.evidence import Evidence

_FOLDER = Path(__file__).parent / "evidence"
_FORMATS = ("float32", "bfloat16", "float16")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--vocab", "vocabulary", type=click.IntRange(64, 2**22), default=131_072, show_default=True)
@click.option("--dtype", "dtypes", type=click.Choice(_FORMATS), multiple=True, default=_FORMATS, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the inputs.")
@click.option("--inputs", type=click.IntRange(1, 2**32), default=2**32, help="Of expf, logf and exp2f. [default: all]")
@click.option("--rows", type=click.IntRange(1, 2**16), default=512, show_default=True, help="Of the timed batch.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=_FOLDER, help="Where to write it.")
def main(vocabulary: int, dtypes: tuple[str, ...], seed: int, inputs: int, rows: int, folder: Path) -> None:
    """Audit, measure and time every kernel on the CUDA device of this machine, and write what came of it."""
    state = device_state()
    if not state.ready:
        _not_run(state.reason)
    from gpu_checks.evidence import collect, this_machine
    from gpu_checks.subject import Unavailable

    try:
        machine = this_machine()
    except Unavailable as absence:
        _not_run(str(absence))
    evidence = collect(
        machine,
        dtypes=dtypes,
        vocabulary=vocabulary,
        seed=seed,
        inputs=inputs,
        rows=rows,
        watch=lambda what: click.echo(f"==> {what}"),
    )
    sys.exit(conclude(evidence, folder))


def _not_run(reason: str) -> NoReturn:
    click.echo(f"NOT_RUN: {reason}")
    sys.exit(2)


def conclude(evidence: Evidence, folder: Path) -> int:
    """Write evidence, say what is in it, and return the exit status; raises OSError where it cannot be written."""
    from gpu_checks.evidence import write

    folder.mkdir(parents=True, exist_ok=True)
    path = write(evidence, folder)
    problems = failures(evidence)
    for line in (*_said(evidence), *(f"FAILS: {problem}" for problem in problems), f"written: {path}"):
        click.echo(line)
    return 1 if problems else 0


def failures(evidence: Evidence) -> list[str]:
    """Return a line for each check that fails, each cell that did not run, and all that the oracle does not confirm."""
    from gpu_checks.evidence import rederive

    found = []
    for cell in evidence.cells:
        place = f"{cell.subject}, {cell.dtype}, V = {cell.vocabulary}"
        found += [f"{place}: {check.check}: {check.message}" for check in cell.failures]
        found += [f"{place}: NOT_RUN: {cell.reason}"] if cell.outcome == "not run" else []
    return found + rederive(evidence).problems


def _said(evidence: Evidence) -> list[str]:
    device = evidence.device
    passing = sum(cell.outcome == "passes" for cell in evidence.cells)
    lines = [
        f"{device.name}, compute capability {device.compute_capability}, CUDA {device.runtime}, driver {device.driver}",
        f"{passing} of {len(evidence.cells)} cells pass",
    ]
    lines += [
        f"{e.function}: {e.error:.4g} ulp at most over {e.inputs} inputs, {e.promised:g} taken" for e in evidence.ulps
    ]
    lines += [
        f"{t.subject}, {t.dtype}: {t.milliseconds:.3g} ms for {t.rows} rows of {t.vocabulary}, "
        f"{t.bandwidth / 1e9:.0f} GB/s, {t.times_floor:.2f} times the floor of a copy at {t.copied / 1e9:.0f} GB/s"
        for t in evidence.timings
    ]
    return lines


if __name__ == "__main__":
    main()
