"""Real library functions, against the findings published by reading and enumerating them by hand.

Sources: the versions of libraries.txt. Expected values are the KL gradient of each function found by exact enumeration
(V = 4, T = 2, prefix-dependent policy), not the output of this tool.
"""

from __future__ import annotations

import json
from functools import cache

import jsonschema
import pytest

from oracle.errors import OracleError
from oracle.libraries import ENTRIES, Row, judge_installed
from oracle.libraries.table import as_json
from oracle.schemas import schemas
from oracle.subject.lift import LiftedFile
from tests.oracle.judging import accused, said

RKL = ("reverse_kl", "token", 1.0)
FKL = ("forward_kl", "token", 1.0)
UNNAMED = ("unnamed", None, None)
ZERO = ("zero", None, None)


judged = cache(lambda library: judge_installed([library]))
"""Once for all the tests of this file."""


def rows(library: str) -> dict[tuple[str, str, str | None], Row]:
    found, absent = judged(library)
    if absent:
        pytest.skip(f"{library} is not installed here")
    assert not [r.error for r in found if r.error]
    return {(r.function, r.setting, r.verdict.subject.placement): r for r in found if r.verdict}


def check(library: str, function: str, setting: str, placement: str, on: tuple, off: tuple, findings: set[str]) -> None:
    row = rows(library)[function, setting, placement]
    assert row.verdict is not None
    assert said(row.verdict.on_policy) == on
    assert said(row.verdict.off_policy) == off
    assert accused(row.verdict) == findings
    assert row.sha256 is not None
    assert len(row.sha256) == 64


@pytest.mark.parametrize(
    ("name", "on", "findings"),
    [
        ("k1", ZERO, {"reference.dependence"}),
        ("kl", ZERO, {"reference.dependence"}),
        ("abs", ("total_variation", "token", 2.0), set()),
        ("k2", RKL, set()),
        ("mse", RKL, set()),
        ("k3", FKL, {"clamp.dead_gradient"}),
        ("low_var_kl", FKL, {"clamp.dead_gradient"}),
        *((f"{n}+", RKL, set()) for n in ("k1", "kl", "abs", "k2", "mse", "k3", "low_var_kl")),
    ],
)
def test_verl_as_loss(name: str, on: tuple, findings: set[str]) -> None:
    check("verl", "kl_penalty", name, "loss", on, UNNAMED, findings)


@pytest.mark.parametrize(("name", "on"), [("k1", RKL), ("abs", UNNAMED), ("k2", UNNAMED), ("k3", UNNAMED)])
def test_verl_in_reward(name: str, on: tuple) -> None:
    # k1 alone may sit in the reward: the coefficients |L|, L^2/2 and k3 fall where L < 0
    check("verl", "kl_penalty", name, "reward", on, UNNAMED, set() if name == "k1" else {"expected_gradient.on_policy"})
    v = rows("verl")["kl_penalty", name, "reward"].verdict
    assert v is not None
    assert (v.with_returns.objective, v.with_returns.level) == (
        ("reverse_kl", "sequence") if name == "k1" else ("unnamed", None)
    )


@pytest.mark.parametrize(
    ("mode", "aggregation"),
    [
        ("token-mean", "token-mean"),
        ("token-sum", "sum"),
        ("seq-mean-token-sum", "seq-mean-token-sum"),
        ("seq-mean-token-mean", "seq-mean-token-mean"),
        ("seq-mean-token-sum-norm", "constant"),
    ],
)
def test_verl_aggregations(mode: str, aggregation: str) -> None:
    # the last divides by the padded width, which is no constant
    more = {"padding.invariance"} if mode == "seq-mean-token-sum-norm" else set()
    check("verl", "agg_loss(kl_penalty)", f"low_var_kl, {mode}", "whole", FKL, UNNAMED, {"clamp.dead_gradient", *more})
    v = rows("verl")["agg_loss(kl_penalty)", f"low_var_kl, {mode}", "whole"].verdict
    assert v is not None
    assert v.aggregation == aggregation


def test_verl_dead_zone_of_k3() -> None:
    v = rows("verl")["kl_penalty", "k3", "loss"].verdict
    assert v is not None
    (message,) = (f.message for f in v.findings if f.check == "clamp.dead_gradient")
    # the roots of exp(-L) - 1 + L = 10: L = -2.6109 (libraries.md: log(ref/pi) > 2.61) and L = 11 - exp(-11)
    assert "L < -2.61" in message
    assert "L > 10.9999" in message


@pytest.mark.parametrize(("name", "on"), [("k1", ZERO), ("k2", RKL), ("k3", FKL)])
def test_openrlhf_as_loss(name: str, on: tuple) -> None:
    zero = {"reference.dependence"} if name == "k1" else set()
    check("openrlhf", "compute_approx_kl", name, "loss", on, UNNAMED, {"clamp.dead_gradient", *zero})
    check("openrlhf", "compute_approx_kl", f"{name}, unbiased_gradient", "loss", RKL, RKL, set())


def test_openrlhf_dead_zone_of_k2() -> None:
    v = rows("openrlhf")["compute_approx_kl", "k2", "loss"].verdict
    assert v is not None
    (message,) = (f.message for f in v.findings if f.check == "clamp.dead_gradient")
    assert "L < -4.472136" in message  # L^2/2 = 10
    assert "L > 4.472136" in message


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "luspo"])
def test_liger(loss: str) -> None:
    leak = {"mask.leak", "padding.invariance", "aggregation"} if loss == "luspo" else set()
    scale = 1.0
    if loss == "luspo":  # weighs each sequence by its length: twice the plain form at two tokens
        scale = said(
            rows("liger-kernel")["ppo_loss_fn", f"{loss}, use_bias_correction_kl=on", "whole"].verdict.on_policy
        )[2]
    off, on = f"{loss}, use_bias_correction_kl=off", f"{loss}, use_bias_correction_kl=on"
    check("liger-kernel", "ppo_loss_fn", off, "whole", (*FKL[:2], scale), UNNAMED, leak)
    check("liger-kernel", "ppo_loss_fn", on, "whole", (*RKL[:2], scale), (*RKL[:2], scale), leak)


def test_liger_k3() -> None:
    check("liger-kernel", "k3_loss_fn", "log_p=reference, log_q=policy", "loss", FKL, UNNAMED, set())


def test_trl() -> None:
    check("trl", "_compute_loss", "grpo, use_bias_correction_kl=on", "whole", RKL, RKL, set())
    check("trl", "_compute_loss", "grpo, use_bias_correction_kl=off", "whole", FKL, UNNAMED, set())
    check("trl", "_compute_loss", "grpo, sequence-level ratio", "whole", UNNAMED, UNNAMED, set())


def test_the_listing_is_valid() -> None:
    found, absent = judged("liger-kernel")
    printed = json.loads(as_json(found[-1:], [*absent, "another"]))
    jsonschema.Draft202012Validator(schemas()["libraries-1.json"]).validate(printed)
    assert printed["schema"] == "kl-oracle/libraries/1"
    assert printed["not_installed"][-1] == "another"


def test_every_entry_is_judged_once() -> None:
    keys = [(e.library, e.function, e.setting, e.placement) for e in ENTRIES]
    assert len(keys) == len(set(keys))


def test_unknown_library() -> None:
    with pytest.raises(OracleError, match="no adapter for 'nope'; the libraries are verl"):
        judge_installed(["nope"])


def test_lift_says_what_is_missing() -> None:
    with pytest.raises(OracleError, match="'no_such_package' is not installed"):
        LiftedFile.of("no_such_package", "no_such_package/x.py")
    with pytest.raises(OracleError, match="has no nothing_here; this release has another layout"):
        LiftedFile.of("click", "click/core.py").get("nothing_here")


def test_lift_takes_what_a_function_needs() -> None:
    # a public function whose body names imports and helpers of its own file
    file = LiftedFile.of("click", "click/formatting.py")
    assert file.get("measure_table")([("a", "bcd"), ("ef", "g")]) == (2, 3)
    assert "HelpFormatter" not in file.globals


@pytest.mark.parametrize(
    ("beta", "on"), [(0.0, FKL), (0.5, ("jensen_shannon", "token", 1.0)), (1.0, RKL)], ids=["0", "half", "1"]
)
def test_distillation_over_the_whole_vocabulary(beta: float, on: tuple) -> None:
    """Sums over the vocabulary at each position: no sampled token enters, so off-policy the name is the same."""
    check("trl", "_jsd_divergence", f"beta={beta}", "loss", on, on, set())
    check("liger-kernel", "LigerFusedLinearJSDLoss", f"beta={beta}, soft loss alone", "whole", on, on, set())


def test_liger_on_hidden_states() -> None:
    """The fused kernel, with its own backward pass, agrees with the loss it fuses."""
    name, off, on = "LigerFusedLinearGRPOLoss", "dapo, use_bias_correction_kl=off", "dapo, use_bias_correction_kl=on"
    check("liger-kernel", name, off, "whole", FKL, UNNAMED, set())
    check("liger-kernel", name, on, "whole", RKL, RKL, set())


def test_verl_on_the_likeliest_tokens() -> None:
    """The sum over S of ref log(ref/pi): its gradient, ref(S) pi less ref on S, is not 0 at policy = reference."""
    found = {"reference.zero_at_reference"}
    check("verl", "compute_forward_kl_topk", "top 2 of the teacher", "loss", UNNAMED, UNNAMED, found)
    row = rows("verl")["compute_forward_kl_topk", "top 2 of the teacher", "loss"]
    part = row.verdict.on_policy.restriction
    assert (part.objective, part.tokens, part.chosen_by, part.treatment, part.scale) == (
        "forward_kl", 2, "reference", "cut off", 1.0,
    )  # fmt: skip
