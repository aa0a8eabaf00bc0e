"""The subcommand of this package: `kl-oracle audit`."""

import click

NOT_BUILT = (
    "audit is not built yet: it is to hold fused kernels at full vocabulary against derived "
    "error bounds; until then, `kl-oracle identify` judges PyTorch losses on the CPU"
)


# Whatever is asked of it, it has one answer: a script that already passes targets and options
# reads that answer, not a complaint about an option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[TARGET]...")
def audit(arguments: tuple[str, ...]) -> None:
    """Audit a large-vocabulary kernel (not built yet)."""
    click.echo(NOT_BUILT, err=True)
    raise SystemExit(2)
