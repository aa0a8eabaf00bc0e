"""A derivation as a table for a terminal. Directions are spelled with both distributions."""

from __future__ import annotations

from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sympy import Expr

from proofs.derivation import Derivation, PlacementDerivation
from proofs.divergences import OBJECTIVES, UNNAMED, ZERO, Naming
from proofs.forms import Correction

MAX_WIDTH = 100
WEIGHTS = {
    Correction.NONE: "no weight",
    Correction.DETACHED: "sg(rho)",
    Correction.DIFFERENTIATED: "rho",
    Correction.TRUNCATED: "sg(min(rho, C))",
}
"""How each correction weights a token."""
_NOTE = (
    "L = log(policy/reference), u = exp(L), rho = policy/sampler, s the score of the token that was "
    "drawn; sg(x) is x detached. One token, or a whole answer taken as one; policies of full "
    "support, reference and sampler frozen. Proved from the formula for a vocabulary of any size; "
    "off-policy for any sampler. kl-oracle prove ID shows a theorem."
)


def print_derivation(derivation: Derivation, written: str, console: Console) -> None:
    """Print the two placements side by side."""
    width = min(console.width, MAX_WIDTH)
    console.print(Text(f"estimator k = {written}"))
    table = Table(box=HORIZONTALS, width=width)
    table.add_column("proved", no_wrap=True)
    table.add_column(Text("as loss, E[grad k]"), ratio=1, overflow="fold")
    table.add_column(Text("in reward, E[k s]"), ratio=1, overflow="fold")
    sides = (derivation.as_loss, derivation.in_reward)
    for title, cells in _on_policy_rows(sides):
        table.add_row(title, *(Text(cell) for cell in cells))
    for correction, weight in WEIGHTS.items():
        forms = [side.off_policy[correction] for side in sides]
        table.add_section()
        names = (Text(objective_text(form.naming)) for form in forms)
        table.add_row("off-policy", *names)
        table.add_row(f"  {weight}", *(Text(f"g = {form.coefficient}") for form in forms))
        if any(form.theorems for form in forms):
            table.add_row("  theorem", *(Text(", ".join(form.theorems)) for form in forms))
    console.print(table)
    console.print(Text(_NOTE), width=width)


def _on_policy_rows(
    sides: tuple[PlacementDerivation, PlacementDerivation],
) -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("on-policy", tuple(objective_text(side.naming) for side in sides)),
        ("theorem", tuple(", ".join(side.theorems) for side in sides)),
        ("coefficient of s", tuple(f"g = {side.coefficient}" for side in sides)),
        ("generator", tuple(_generator_text(side) for side in sides)),
        ("true f-divergence", tuple(divergence_text(side) for side in sides)),
        ("series at L = 0", tuple(side.series for side in sides)),
        ("range of g", tuple(side.range for side in sides)),
        ("g never decreases", tuple(yes_no(side.monotone) for side in sides)),
    ]


def objective_text(naming: Naming) -> str:
    """Return an objective's name and what it is, with its scale."""
    if naming.objective == ZERO:
        return "zero: the expected gradient vanishes"
    if naming.objective == UNNAMED:
        if naming.combination is None:
            return "unnamed"
        parts = [_scaled(scale, OBJECTIVES[name].display) for name, scale in naming.combination]
        return "unnamed: " + " + ".join(parts).replace("+ -", "- ")
    display = OBJECTIVES[naming.objective].display
    return f"{naming.objective}: " + (display if naming.scale == 1 else f"{naming.scale} x ({display})")


def _scaled(scale: Expr, text: str) -> str:
    if scale in (1, -1):
        return text if scale == 1 else f"-{text}"
    return f"{scale} x {text}"


def _generator_text(side: PlacementDerivation) -> str:
    return "no closed form found" if side.generator is None else f"f(u) = {side.generator}"


def divergence_text(side: PlacementDerivation) -> str:
    """Return whether the objective is an f-divergence, and why not."""
    if side.naming.objective == ZERO:
        return "none: f is affine"
    if side.true_divergence is None:
        return "undecided"
    if side.true_divergence:
        return "yes: f is convex"
    return "no: f is affine around u = 1" if side.monotone else "no: f is not convex"


def yes_no(answer: bool | None) -> str:
    """Return an answer that may have been left open, in a word."""
    return "undecided" if answer is None else "yes" if answer else "no"
