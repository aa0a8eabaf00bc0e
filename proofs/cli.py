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
@click.pass_context
def derive(context: click.Context, expression: str, output: str) -> None:
    """Derive what an estimator's gradient descends, as loss and in reward.

    EXPR is a name (k1, k2, k3, abs, mse, low_var_kl) or an expression in
    L = log(policy/reference), such as "exp(-L) - 1 + L".
    """
    from proofs.calculus import Undecided
    from proofs.derivation import derive as derive_forms
    from proofs.derivation import to_json
    from proofs.estimators import EstimatorError, parse_estimator

    try:
        derivation = derive_forms(parse_estimator(expression))
    except EstimatorError as error:
        click.echo(f"kl-oracle derive: {error}", err=True)
        context.exit(2)
    except (Undecided, ArithmeticError, RecursionError) as error:
        click.echo(f"kl-oracle derive: beyond what can be derived: {error}", err=True)
        context.exit(2)
    written = expression.strip()
    if output == "json":
        click.echo(json.dumps(to_json(derivation, written), indent=2))
        return
    from rich.console import Console

    from proofs.report import print_derivation

    print_derivation(derivation, written, Console(highlight=False))
