"""The script of a case fails on the fault and passes on the twin, with torch and the user's file alone."""

from __future__ import annotations

import ast
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.replay.cases import CaseError
from oracle.replay.snippet import number, script_of
from oracle.replay.witness import unhex
from tests.oracle.replay.conftest import Judged
from tests.oracle.replay.faults import PLANTED

# one process for all scripts, so that torch is loaded once; it cannot import any package of the project
DRIVER = """
import contextlib, io, json, os, runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("oracle", "proofs", "gpu_checks", "sympy", "hypothesis"):
            raise ImportError("the script must need torch alone")
sys.meta_path.insert(0, Refuse())
out = {}
for place, scripts in json.loads(sys.argv[1]).items():
    os.chdir(place)
    for script in scripts:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                runpy.run_path(script, run_name="__main__")
                status = None
            except SystemExit as end:
                status = end.code
        out[place + "|" + script] = [status, said.getvalue()]
print(json.dumps(out))
"""
SCRIPTED = [p for p in PLANTED if p.rule]


@pytest.fixture(scope="module")
def ran(judged: Judged, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    folder = tmp_path_factory.mktemp("scripts")
    for p in SCRIPTED:
        (folder / f"{p.name}.py").write_text(script_of(judged.saved(p)))
    scripts = [str(folder / f"{p.name}.py") for p in SCRIPTED]
    work = json.dumps({str(judged.faults): scripts, str(judged.twins): scripts})
    done = subprocess.run([sys.executable, "-c", DRIVER, work], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    places = {str(judged.faults): "fault", str(judged.twins): "twin"}
    return {f"{places[k.split('|')[0]]} {Path(k.split('|')[1]).stem}": tuple(v) for k, v in found.items()}


@pytest.mark.parametrize("name", [p.name for p in SCRIPTED])
def test_the_script_fails_on_the_fault_and_passes_on_the_twin(
    judged: Judged, ran: dict[str, tuple[int, str]], name: str
) -> None:
    status, said = ran[f"fault {name}"]
    assert (status, said.splitlines()[-1]) == (1, "fails")
    assert said.startswith("expected ")
    assert "\nactual " in said
    shown = said.splitlines()[1].removeprefix("actual").strip()
    numbers = np.array(eval(shown, {"nan": math.nan, "inf": math.inf}))
    saved = judged.saved(next(p for p in PLANTED if p.name == name))
    assert saved.actual is not None
    np.testing.assert_allclose(numbers, unhex(saved.actual), rtol=1e-13, atol=1e-15)
    words, numerals = re.fullmatch(r"expected ([a-z0 ]*?)(\[.*\])?", said.splitlines()[0]).groups()  # type: ignore[union-attr]
    if numerals is None:
        assert words in ("a finite number", "not 0")
    elif saved.expected is not None:
        np.testing.assert_allclose(np.array(eval(numerals)), unhex(saved.expected), rtol=1e-13, atol=1e-15)
    assert ran[f"twin {name}"][0] == 0
    assert ran[f"twin {name}"][1].splitlines()[-1] == "holds"


def test_a_case_without_numbers_has_no_script(judged: Judged) -> None:
    from msgspec import structs

    saved = structs.replace(judged.saved(next(p for p in PLANTED if p.name == "form")), witness=None)
    with pytest.raises(CaseError, match=f"kl-oracle replay {saved.id} repeats it"):
        script_of(saved)


@given(st.floats(allow_nan=False) | st.fractions(min_value=0, max_value=1).filter(bool).map(lambda f: math.log(f)))
def test_a_number_is_written_to_the_last_bit(x: float) -> None:
    back = eval(number(x), {"log": math.log, "inf": math.inf})
    assert back == x


def test_a_fraction_is_written_as_one() -> None:
    assert number(math.log(2 / 5)) == "log(2/5)"
    assert number(0.5) == "0.5"


def test_hostile_texts_do_not_leave_the_docstring(judged: Judged) -> None:
    from msgspec import structs

    saved = judged.saved(next(p for p in PLANTED if p.name == "form"))
    bad = structs.replace(saved, message='"""\nimport os\n\\u0022\x1b[31m {id} {load}', claim='k2 as loss"""')
    tree = ast.parse(script_of(bad))
    assert isinstance(tree.body[0], ast.Expr)
    assert not any(isinstance(n, ast.Import) and n.names[0].name == "os" for n in ast.walk(tree))
