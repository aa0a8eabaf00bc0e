"""The report on the catalogue: every theorem with its formula, its steps and what the engines found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sympy import Basic
from sympy.core.relational import Relational

from proofs.ledger import Entry, Outcome, paths_by
from proofs.report.claims import SHOWN_HORIZON
from proofs.report.content import (
    Block,
    Chain,
    Code,
    Display,
    Document,
    Facts,
    Figure,
    Formula,
    Grid,
    Inline,
    Line,
    Prose,
    Section,
    Verdict,
    Verdicts,
)
from proofs.report.conventions import CONVENTIONS
from proofs.report.notation import expression_latex, expression_text, latex_of, lines_of, text_of
from proofs.report.plots import Plot, all_plots
from proofs.statements import Instance, SequenceGradient, SequenceValue
from proofs.steps import Step
from proofs.theorem import Theorem

MEANINGS: Mapping[Outcome, str] = {
    Outcome.PROVED: "derived within the stated scope, no case left out",
    Outcome.TESTED: "exact arithmetic at drawn points found no difference; no proof",
    Outcome.REFUTED: "a counterexample, or a normal form that cannot vanish",
    Outcome.INCONCLUSIVE: "neither within the time given",
    Outcome.UNSUPPORTED: "the engine cannot express the statement",
    Outcome.NOT_INSTALLED: "the engine is an optional package that is not here",
}


def catalogue_document(
    theorems: Sequence[Theorem],
    entries: Sequence[Entry],
    titles: Mapping[str, str] | None = None,
    plots: Sequence[Plot] | None = None,
) -> Document:
    """Return the report. `titles` says of an engine what it is; `plots` are the usual ones if None."""
    drawn = all_plots() if plots is None else tuple(plots)
    by_id: dict[str, list[Entry]] = {}
    for entry in entries:
        by_id.setdefault(entry.theorem.id, []).append(entry)
    figures = tuple(Section(plot.title, f"plot.{plot.name}", (Figure(plot),)) for plot in drawn)
    return Document(
        "What the gradients of KL estimators really are",
        summary(theorems, entries),
        (
            Section("Summary", "summary", _summary_blocks(entries, titles or {})),
            CONVENTIONS,
            *_families(theorems, by_id),
            *((Section("Plots", "plots", (), figures),) if figures else ()),
        ),
    )


def summary(theorems: Sequence[Theorem], entries: Sequence[Entry]) -> str:
    """Return the outcome in words; every number is counted here."""
    true = [theorem for theorem in theorems if theorem.holds]
    proofs, refutations = paths_by(entries, Outcome.PROVED), paths_by(entries, Outcome.REFUTED)
    twice = sum(len(proofs.get(theorem.id, ())) >= 2 for theorem in true)
    false = [theorem for theorem in theorems if not theorem.holds]
    caught = sum(bool(refutations.get(theorem.id)) and not proofs.get(theorem.id) for theorem in false)
    parts = [f"{_number(len(true), 'theorem')}, {twice} of them proved on two independent paths or more."]
    if false:
        parts.append(
            f"{_number(len(false), 'false statement')}, {caught} of them refuted by an engine and proved by none."
        )
    engines, paths = len({entry.engine for entry in entries}), len({entry.path or entry.engine for entry in entries})
    seconds = sum(entry.seconds for entry in entries)
    said = _number(engines, "engine") + (f" on {_number(paths, 'independent path')}" if paths < engines else "")
    parts.append(f"{said}, {_number(len(entries), 'verdict')}, {seconds:.1f} s of work.")
    return " ".join(parts)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def engine_counts(entries: Iterable[Entry]) -> dict[str, dict[Outcome, int]]:
    """Return how often each engine came to each outcome."""
    counts: dict[str, dict[Outcome, int]] = {}
    for entry in entries:
        row = counts.setdefault(entry.engine, dict.fromkeys(Outcome, 0))
        row[entry.finding.outcome] += 1
    return counts


def engine_seconds(entries: Iterable[Entry]) -> dict[str, float]:
    """Return how long each engine took."""
    seconds: dict[str, float] = {}
    for entry in entries:
        seconds[entry.engine] = seconds.get(entry.engine, 0.0) + entry.seconds
    return seconds


def _summary_blocks(entries: Sequence[Entry], titles: Mapping[str, str]) -> tuple[Block, ...]:
    seconds = engine_seconds(entries)
    rows = tuple(
        ((_named(engine, titles),), *((str(counts[o]),) for o in Outcome), (f"{seconds[engine]:.2f} s",))
        for engine, counts in engine_counts(entries).items()
    )
    header = ("engine", *(str(outcome) for outcome in Outcome), "time")
    legend = Facts(tuple((str(outcome), (MEANINGS[outcome],)) for outcome in Outcome))
    return Grid("What each engine found", header, rows), legend


def _named(engine: str, titles: Mapping[str, str]) -> str:
    return f"{engine}: {titles[engine]}" if engine in titles else engine


def _families(theorems: Sequence[Theorem], by_id: Mapping[str, Sequence[Entry]]) -> list[Section]:
    grouped: dict[str, list[Theorem]] = {}
    for theorem in theorems:
        grouped.setdefault(theorem.family, []).append(theorem)
    return [
        Section(
            family[:1].upper() + family[1:],
            "family-" + "-".join(family.split()),
            (),
            tuple(theorem_section(theorem, by_id.get(theorem.id, ())) for theorem in group),
        )
        for family, group in grouped.items()
    ]


def statement_formula(theorem: Theorem) -> Formula:
    """Return the theorem's formula."""
    return Formula(latex_of(theorem.statement), text_of(theorem.statement))


def theorem_section(theorem: Theorem, entries: Sequence[Entry] = ()) -> Section:
    """Return one theorem: words, formula, conditions, steps and verdicts."""
    words: tuple[Inline, ...] = (theorem.words,)
    if not theorem.holds:
        words = ("False, and to be refused: ", *words)
    lines = [Display(Formula(latex, text)) for latex, text in lines_of(theorem.statement)]
    blocks: list[Block] = [Prose(words), *lines]
    facts: list[tuple[str, tuple[Inline, ...]]] = [("for", ("; ".join(theorem.conditions),))]
    if isinstance(theorem.statement, SequenceGradient | SequenceValue):
        facts.append(("claimed for", (f"every number T of tokens; written out here for T = {SHOWN_HORIZON}",)))
    if theorem.refutes is not None:
        facts.append(("refutes", (theorem.refutes,)))
    if isinstance(theorem.statement, Instance):
        instance = "; ".join(f"{name} = {value}" for name, value in theorem.statement.instance.items())
        facts.append(("counterexample" if theorem.refutes else "instance", (Code(instance),)))
    facts.append(("source" if theorem.holds else "because", (theorem.source,)))
    blocks.append(Facts(tuple(facts)))
    steps = tuple(_line(step) for step in steps_of(theorem))
    if steps:
        blocks.append(Chain(steps))
    if entries:
        blocks.append(Verdicts(tuple(verdict_of(entry) for entry in entries)))
    return Section(theorem.id, theorem.id, tuple(blocks), is_theorem=True)


def steps_of(theorem: Theorem) -> tuple[Step, ...]:
    """Return the derivation of a theorem; a false statement has none. Derived once, whatever formats follow."""
    if not theorem.holds:
        return ()
    known = _STEPS.get(theorem.id)
    if known is None or known[0] is not theorem:
        from proofs.rewriting import present

        known = _STEPS[theorem.id] = theorem, present(theorem)
    return known[1]


_STEPS: dict[str, tuple[Theorem, tuple[Step, ...]]] = {}


def verdict_of(entry: Entry) -> Verdict:
    """Return an entry as a report shows it."""
    finding = entry.finding
    unexpected = Outcome.REFUTED if entry.theorem.holds else Outcome.PROVED
    return Verdict(
        entry.engine,
        str(finding.outcome),
        finding.outcome is not unexpected,
        finding.scope,
        finding.detail,
        entry.seconds,
        finding.counterexample,
    )


def _line(step: Step) -> Line:
    after = _formula(step.after)
    if step.before == step.after:  # a line that stands alone
        return Line(step.rule, step.note, after, relation="")
    relation = r"\Rightarrow" if isinstance(step.after, Relational) else "="
    return Line(step.rule, step.note, after, None if step.before is None else _formula(step.before), relation)


def _formula(expr: Basic) -> Formula:
    return Formula(expression_latex(expr), expression_text(expr))
