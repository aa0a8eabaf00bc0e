"""The command `derive`. SymPy is imported only when it runs."""

from __future__ import annotations

import json

import click


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
    from proofs.report.errors import ReportError
    from proofs.report.write import parse_destination, write_derivation

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
