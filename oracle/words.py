"""Words for people: directions of a divergence are spelled with both distributions."""

from __future__ import annotations

from oracle.records import SAMPLER_KL, ObjectiveRecord

PLACEMENTS = {"loss": "as loss", "reward": "in reward", "whole": "whole loss", None: ""}
LEVELS = {"token": "token level", "sequence": "sequence level", None: ""}


def display(objective: str) -> str:
    """``reverse_kl`` as KL(policy||reference), and so on; other words as they are."""
    from proofs.divergences import OBJECTIVES

    if objective == SAMPLER_KL:
        return "KL(sampler||policy)"
    return OBJECTIVES[objective].display if objective in OBJECTIVES else objective


def _percent(error: float) -> str:
    return "under 1%" if error < 0.01 else f"{error:.0%}"


def sentence(record: ObjectiveRecord) -> str:
    """What one side of a verdict says, in a line."""
    import msgspec

    if record.objective == "zero":
        return "nothing: the expected gradient is zero"
    if record.objective != "unnamed":
        verb = "descends" if record.scale is None or record.scale > 0 else "ascends"
        scale = "" if record.scale is None or abs(record.scale) == 1 else f"{abs(record.scale):.6g} x "
        name = display(record.objective)
        return f"{verb} {scale}{f'({name})' if scale and ' + ' in name else name}, {LEVELS[record.level]}"
    parts = ["no objective it knows"]
    if not isinstance(record.combination, msgspec.UnsetType):
        terms = [
            f"{'-' if a < 0 else '+'} {'' if abs(a) == 1 else f'{abs(a):.6g} '}{display(n)}"
            for n, a in record.combination.items()
        ]
        text = " ".join(terms).removeprefix("+ ")
        how = ", no divergence"
        if SAMPLER_KL in record.combination:
            how = ", whatever the reference"
        elif record.prefixes == "policy":
            how = ", token level, but with the policy's prefixes"
        parts.append(f"the gradient of {text}{how}")
    if not isinstance(record.restriction, msgspec.UnsetType):
        part = record.restriction
        which = f"the {part.tokens} likeliest tokens of the {part.chosen_by}"
        times = "" if part.scale == 1 else f"{part.scale:.6g} x "
        parts.append(f"{times}{display(part.objective)} on {which}, {part.treatment}")
        return "; ".join(parts)
    if not isinstance(record.nearest, msgspec.UnsetType) and record.nearest.relative_error < 0.9:
        near = record.nearest
        parts.append(f"nearest {display(near.objective)}, {LEVELS[near.level]}, {_percent(near.relative_error)} off")
    return "; ".join(parts)
