"""The command `derive`: its JSON against the schema, its text, its errors, its imports."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import proofs
from proofs.cli import derive
from proofs.derivation import derive as derive_forms
from proofs.divergences import OBJECTIVES
from proofs.estimators import K3

SCHEMA = json.loads((Path(proofs.__file__).parent / "schemas" / "derivation-1.json").read_text("utf-8"))


def run(*arguments):
    return CliRunner().invoke(derive, arguments)


def derived(text):
    result = run(text, "--format", "json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    jsonschema.validate(record, SCHEMA)
    return record


def test_schema_is_a_schema_and_knows_every_objective():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["objective"]["enum"]) == {"zero", "unnamed", *OBJECTIVES}


def test_k3():
    record = derived("exp(-L) - 1 + L")
    assert record["schema"] == "kl-oracle/derivation/1"
    assert record["estimator"] == "exp(-L) - 1 + L"
    loss, reward = record["as_loss"], record["in_reward"]
    forms = loss.pop("off_policy_forms")
    assert loss == {
        "coefficient": "1 - exp(-L)",
        "objective": "forward_kl",
        "scale": 1.0,
        "combination": None,
        "theorems": ["k3-loss.on-policy"],
        "generator": "u - log(u) - 1",
        "true_divergence": True,
        "series": "L - L**2/2 + L**3/6 + O(L**4)",
        "range": "(-oo, 1)",
        "monotone": True,
        "dead": [],
        "off_policy": {"none": "unnamed", "detached": "forward_kl", "differentiated": "reverse_kl"},
    }
    assert forms["differentiated"]["coefficient"] == "L*rho"
    assert [forms[c]["theorems"] for c in ("none", "detached", "differentiated")] == [
        ["k3-loss.uncorrected"],
        ["k3-loss.detached"],
        ["k3-loss.differentiated"],
    ]
    assert forms["truncated"]["objective"] == "unnamed"
    assert reward["objective"] == "unnamed"
    assert reward["combination"] == {"reverse_kl": 1.0, "forward_kl": -1.0}
    assert reward["true_divergence"] is False
    assert reward["monotone"] is False
    assert reward["range"] == "[0, oo)"
    assert reward["off_policy"] == dict.fromkeys(("none", "detached", "differentiated"), "unnamed")


def test_k1_and_k2():
    k1, k2 = derived("k1"), derived("L^2/2")
    assert (k1["as_loss"]["coefficient"], k2["as_loss"]["coefficient"]) == ("1", "L")
    assert k1["as_loss"]["objective"] == "zero"
    assert k1["as_loss"]["scale"] is None
    assert k1["as_loss"]["true_divergence"] is None
    off = {"none": "unnamed", "detached": "zero", "differentiated": "reverse_kl"}
    assert k1["as_loss"]["off_policy"] == off
    assert k1["in_reward"]["objective"] == k2["as_loss"]["objective"] == "reverse_kl"
    assert k2["as_loss"]["off_policy"]["differentiated"] == "unnamed"


@pytest.mark.parametrize("name", ["k1", "k2", "k3", "abs", "mse", "low_var_kl", "-L", "-exp(-L)", "7"])
def test_everything_fits_the_schema(name):
    derived(name)


def test_scales():
    assert derived("3*L^2/2")["as_loss"]["scale"] == 3.0
    assert derived("abs")["as_loss"]["scale"] == 2.0
    assert derived("-L")["in_reward"]["scale"] == -1.0


def test_text_spells_both_distributions():
    result = run("exp(-L) - 1 + L")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for part in (
        "KL(reference||policy)",
        "KL(policy||reference)",
        "1 - exp(-L)",
        "u - log(u) - 1",
        "(-oo, 1)",
        "L - L**2/2 + L**3/6 +",
        "yes: f is convex",
        "sg(min(rho, C))",
        "E[grad k]",
        "E[k s]",
        "Proved from the formula",
    ):
        assert part in text
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "zero: the expected" in run("k1").stdout


@pytest.mark.parametrize("text", ["x*L", "", "L +", "1/L", "__import__('os')"])
def test_a_mistake_is_one_line_and_status_2(text):
    result = run(text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("kl-oracle derive: ")
    assert len(result.stderr.splitlines()) == 1


def test_usage():
    assert run("L", "--format", "xml").exit_code == 2
    assert run().exit_code == 2
    assert "EXPR is a name (k1, k2, k3, abs, mse, low_var_kl)" in run("--help").stdout


@pytest.mark.parametrize("module", ["proofs", "proofs.cli"])
def test_importing_is_cheap(module):
    code = f"import sys, {module}; print(sorted({{'sympy', 'torch', 'numpy', 'rich'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_torch_anywhere():
    modules = sorted(p.stem for p in Path(proofs.__file__).parent.glob("*.py") if p.stem != "__init__")
    imports = "; ".join(f"import proofs.{name}" for name in modules)
    code = f"import sys; {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


AWKWARD = [
    "tanh(sinh(0.5 - L))",
    "clamp(exp(-L) - 1 + L, -10, 10)",
    "Piecewise((exp(-L), L < 1), (L**5, True))",
    "Min(abs(L), exp(L), 3)",
    "exp(exp(L))",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_estimators_end_in_a_record(text):
    derived(text)


def test_api():
    assert derive_forms(K3).as_loss.naming.objective == "forward_kl"


@pytest.mark.parametrize(
    ("text", "loss", "reward"),
    [
        ("k3", [], []),
        ("clamp(k1, -2, 3)", ["(-oo, -2)", "(3, oo)"], []),
        ("clamp(k3, -10, 10)", ["(-oo, -2.61087)", "(11.0000, oo)"], []),
        ("Max(L, 0)", ["(-oo, 0)"], ["(-oo, 0)"]),
        ("7", ["(-oo, oo)"], []),
    ],
)
def test_where_the_gradient_is_dead(text, loss, reward):
    record = derived(text)
    assert (record["as_loss"]["dead"], record["in_reward"]["dead"]) == (loss, reward)
    line = next(line for line in run(text).stdout.splitlines() if line.startswith("gradient exactly 0"))
    for interval in loss + reward:
        assert interval in line
    assert ("on no interval" in line) == (not loss or not reward)


def test_names_inside_expressions_mean_the_estimators():
    assert derived("k1 + 0*k2")["as_loss"] == derived("k1")["as_loss"]
    assert derived("2*k2 - k1**2")["as_loss"]["objective"] == "zero"
    assert derived("Low_Var_KL + 0")["as_loss"] == derived("k3")["as_loss"]
    assert derived("abs + 0")["as_loss"] == derived("abs(L)")["as_loss"]


def test_a_jump_is_differentiated_as_code_does():
    """The gradient of sign(L) is 0 beside the jump, and no delta function at it."""
    record = derived("sign(L)")
    assert record["as_loss"]["coefficient"] == "0"
    assert record["as_loss"]["objective"] == "zero"
    assert record["in_reward"]["objective"] == "total_variation"
    assert "Delta" not in str(derived("L*sign(L)"))
