"""Plots as data, computed from the project's own expressions, and as SVG.

The curves come from the estimators, from `proofs.calculus` and from the generators of
`proofs.divergences`; what is annotated is evaluated there too. The SVG is for a page: its axes take the
colour of the text around them, and each curve a colour that the page may change (Okabe and Ito's
palette, told apart by people with every kind of colour vision; curves differ in their dashes as well).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from proofs.report.errors import needs
from proofs.symbols import L, U

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a6467f")
"""Of the curves, in order; a page may set --curve-1 and so on instead."""
_INK = "#010203"
"""Replaced by the colour of the page's text."""
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2), (2, 2), (7, 2, 2, 2))
_POINTS = 161


@dataclass(frozen=True)
class Curve:
    """A curve: its name, its formula as text and its points."""

    name: str
    formula: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Mark:
    """A remark at a point."""

    x: float
    y: float
    text: str
    below: bool = False
    """Where its text is; else above."""


@dataclass(frozen=True)
class Plot:
    """A plot: what a reader sees, and in `alt` what a reader hears."""

    name: str
    title: str
    alt: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...] = ()
    level: float | None = None
    """A horizontal line, such as a limit."""
    low: float | None = None
    high: float | None = None
    """What is shown of the vertical axis."""


def curve(name: str, expr: Expr, variable: Symbol, low: Expr, high: Expr) -> Curve:
    """Return the points of an expression between two ends."""
    evaluate = sp.lambdify(variable, expr, "math")
    step = (high - low) / (_POINTS - 1)
    points = []
    for i in range(_POINTS):
        x = float(low + i * step)
        try:
            points.append((x, float(evaluate(x))))
        except (ZeroDivisionError, ValueError):  # a removable singularity, or the border of the domain
            value = sp.limit(expr, variable, low + i * step)
            if value.is_finite:
                points.append((x, float(value)))
    return Curve(name, str(expr), tuple(points))


def coefficients_plot() -> Plot:
    """Return the coefficients of k1, k2 and k3 as loss over L, with k3's limits."""
    from proofs.calculus import on_policy, sample_coefficient
    from proofs.estimators import K1, K2, K3
    from proofs.forms import Form, Placement

    forms = {e.name: on_policy(sample_coefficient(Form(e, Placement.LOSS))) for e in (K1, K2, K3)}
    k3 = forms["k3"]
    limit = sp.limit(k3, L, sp.oo)
    low = Integer(-3)
    at_low = float(k3.subs(L, low))
    return Plot(
        "coefficients",
        "Coefficients of the score, as loss",
        f"k1 is constant, k2 is the line L, k3 approaches {limit} to the right and falls to {at_low:.1f} at L = {low}.",
        "L = log(policy/reference)",
        "coefficient of the score",
        tuple(curve(f"{name}: {c}", c, L, low, Integer(3)) for name, c in forms.items()),
        (
            Mark(3.0, float(k3.subs(L, 3)), f"k3 saturates at {limit}", below=True),
            Mark(float(-2), float(k3.subs(L, -2)), f"k3 explodes: {at_low:.1f} at L = {low}"),
        ),
        level=float(limit),
        low=-7.0,
        high=3.5,
    )


def bias_plot() -> Plot:
    """Return what the coefficient of k3 lacks against that of KL(policy||reference), beside k3 itself."""
    from proofs.calculus import on_policy, sample_coefficient
    from proofs.estimators import K3
    from proofs.forms import Form, Placement

    bias = L - on_policy(sample_coefficient(Form(K3, Placement.LOSS)))
    low, high = Rational(-5, 2), Rational(5, 2)
    return Plot(
        "bias",
        "The bias of k3's coefficient is k3 itself",
        "L minus the coefficient of k3, and k3: one curve, zero at L = 0 and positive elsewhere.",
        "L = log(policy/reference)",
        "bias",
        (curve(f"L - c(k3) = {bias}", bias, L, low, high), curve(f"k3 = {K3.value}", K3.value, L, low, high)),
        (Mark(0.0, float(bias.subs(L, 0)), "none at policy = reference", below=True),),
        low=-1.0,
    )


def binary_slopes(z: Symbol) -> tuple[Expr, Expr]:
    """Return the slopes in the logit z of KL(policy||reference) and KL(reference||policy), the reference uniform."""
    p, half = sp.exp(z) / (1 + sp.exp(z)), Rational(1, 2)
    policy_first = p * sp.log(p / half) + (1 - p) * sp.log((1 - p) / half)
    reference_first = half * sp.log(half / p) + half * sp.log(half / (1 - p))
    return sp.simplify(sp.diff(policy_first, z)), sp.simplify(sp.diff(reference_first, z))


def force_plot() -> Plot:
    """Return how hard the two divergences pull on the logit of a binary policy, the reference uniform."""
    z = Symbol("z", real=True)
    ours, theirs = binary_slopes(z)
    low, high = Integer(0), Integer(5)
    ratio = float((theirs / ours).subs(z, high))
    limit = sp.limit(theirs, z, sp.oo)
    return Plot(
        "force",
        "Expected force on a binary policy",
        "Slopes of both divergences over the logit z: that of KL(policy||reference) rises and falls back, that of "
        f"KL(reference||policy) rises to {limit}; their ratio is sinh(z)/z, {ratio:.1f} at z = {high}.",
        "logit z = difference of the two log ratios (reference uniform)",
        "slope in z",
        (
            curve("KL(policy||reference)", ours, z, low, high),
            curve("KL(reference||policy)", theirs, z, low, high),
        ),
        (Mark(float(high), float(theirs.subs(z, high)), f"ratio sinh(z)/z: {ratio:.1f} at z = {high}"),),
        level=float(limit),
    )


def _generator_curves(second: bool) -> tuple[Curve, ...]:
    from proofs.calculus import on_policy, sample_coefficient
    from proofs.divergences import generator_of
    from proofs.estimators import K1, K2, K3
    from proofs.forms import Form, Placement

    rows = (
        ("k1 in reward", K1, Placement.REWARD),
        ("k3 as loss", K3, Placement.LOSS),
        ("k2 in reward", K2, Placement.REWARD),
        ("k3 in reward", K3, Placement.REWARD),
    )
    found = []
    for name, estimator, placement in rows:
        generator = generator_of(on_policy(sample_coefficient(Form(estimator, placement))))
        if generator is None:  # no estimator here is without one
            raise ArithmeticError(f"no generator of {name}")
        shown = sp.simplify(sp.diff(generator, U, 2)) if second else generator
        found.append(curve(name, shown, U, Rational(1, 10), Integer(3)))
    return tuple(found)


def generators_plot() -> Plot:
    """Return the generators f(u) that the coefficients belong to."""
    return Plot(
        "generators",
        "Generators f(u)",
        "Generators of k1 in reward and k3 as loss are convex with their minimum at u = 1; "
        "those of k2 and k3 in reward are not convex below u = 1.",
        "u = policy/reference",
        "f(u)",
        _generator_curves(second=False),
    )


def convexity_plot() -> Plot:
    """Return f''(u): below zero, f belongs to no divergence."""
    curves = _generator_curves(second=True)
    return Plot(
        "convexity",
        "Convexity f''(u): below zero there is no divergence",
        "f'' is positive for k1 in reward and k3 as loss, negative below u = 1 for k2 and k3 in reward.",
        "u = policy/reference",
        "f''(u)",
        curves,
        level=0.0,
        low=-6.0,
        high=6.0,
    )


def all_plots() -> tuple[Plot, ...]:
    """Return every plot of the report on the catalogue."""
    return coefficients_plot(), bias_plot(), force_plot(), generators_plot(), convexity_plot()


def to_svg(plot: Plot) -> str:
    """Return a plot as an SVG element for a page. Raises ReportError without matplotlib."""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise needs("matplotlib", "a report with plots") from error
    settings: Any = {
        "svg.fonttype": "path",
        "svg.hashsalt": plot.name,
        "font.size": 9,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "path.simplify": True,
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(4.8, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        _draw(figure.add_subplot(), plot)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_a_page(buffer.getvalue(), plot)


def _draw(axes: Any, plot: Plot) -> None:
    for i, one in enumerate(plot.curves):
        xs, ys = zip(*one.points, strict=True)
        dashes = {"dashes": _DASHES[i]} if _DASHES[i] else {}
        axes.plot(xs, ys, color=COLOURS[i], linewidth=1.8, label=one.name, **dashes)
    if plot.level is not None:
        axes.axhline(plot.level, color=_INK, linewidth=0.6, linestyle=":")
    for mark in plot.marks:
        axes.plot([mark.x], [mark.y], "o", color=_INK, markersize=3)
        left, right = axes.get_xlim()
        side = "right" if mark.x > (left + right) / 2 else "left"
        offset = (0 if side == "right" else 7, -14 if mark.below else 5 if side == "right" else -3)
        axes.annotate(mark.text, (mark.x, mark.y), xytext=offset, textcoords="offset points", horizontalalignment=side)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.set_ylim(plot.low, plot.high)
    axes.legend(frameon=False, loc="best")


def _for_a_page(svg: str, plot: Plot) -> str:
    """The bare element: no prolog and no address; its ids its own; the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="plot-{plot.name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#plot-{plot.name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#plot-{plot.name}-\1)", svg)
    svg = svg.replace(_INK, "currentColor")
    for i, colour in enumerate(COLOURS, 1):
        svg = svg.replace(colour, f"var(--curve-{i}, {colour})")
    return re.sub(r'\s(width|height)="[^"]*pt"', "", svg, count=2).strip()
