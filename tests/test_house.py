"""The house: what pyproject.toml, constraints.txt and libraries.txt promise is so."""

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import jaxtyping
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
COMMANDS: dict[str, str] = PROJECT["entry-points"]["kl_oracle.commands"]


def requirements(name: str) -> list[Requirement]:
    """The requirements of a pip file, comments and empty lines apart."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    bare = (line.partition("#")[0].strip() for line in lines)
    return [Requirement(line) for line in bare if line]


def pins(name: str) -> dict[str, Version]:
    """Each package of a pip file with the one version that it is pinned to."""
    return {canonicalize_name(r.name): pinned(r) for r in requirements(name)}


def pinned(requirement: Requirement) -> Version:
    specifiers = list(requirement.specifier)
    assert len(specifiers) == 1, f"{requirement} has to name one version"
    (specifier,) = specifiers
    assert specifier.operator == "==", f"{requirement} has to be pinned with =="
    return Version(specifier.version)


def declared() -> list[Requirement]:
    """What pyproject.toml asks for in our own set-up: all but a device's extras."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["test"], *extras["lint"]]
    lines += PYPROJECT["build-system"]["requires"]
    return [Requirement(line) for line in lines]


def resolve(reference: str) -> object:
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize(("name", "reference"), sorted(COMMANDS.items()))
def test_each_subcommand_is_a_click_command_of_its_name(name: str, reference: str) -> None:
    command = resolve(reference)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_the_console_script_resolves() -> None:
    (reference,) = PROJECT["scripts"].values()
    assert callable(resolve(reference))


def test_what_is_installed_is_what_pyproject_declares() -> None:
    installed = metadata.entry_points(group="kl_oracle.commands")
    assert {entry.name: entry.value for entry in installed} == COMMANDS
    assert metadata.version("kl-oracle") == PROJECT["version"]


def test_the_wheel_holds_every_package_with_its_types() -> None:
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["oracle", "proofs", "gpu_checks"]
    assert [p for p in packages if not (ROOT / p / "py.typed").is_file()] == []


@pytest.mark.parametrize("requirement", declared(), ids=str)
def test_our_set_up_pins_each_dependency_within_its_bounds(requirement: Requirement) -> None:
    if requirement.name == "tomli":  # only for a Python older than the one that is pinned
        assert requirement.marker is not None
        return
    pin = pins("constraints.txt").get(canonicalize_name(requirement.name))
    assert pin is not None, f"constraints.txt has no pin of {requirement.name}"
    assert requirement.specifier.contains(pin), f"{pin} is outside of {requirement}"


def test_each_runtime_dependency_states_a_lower_bound() -> None:
    bounds = [Requirement(line) for line in PROJECT["dependencies"]]
    assert [str(r) for r in bounds if not any(s.operator == ">=" for s in r.specifier)] == []


def test_the_set_up_is_pinned_to_the_pytorch_that_we_test_with() -> None:
    assert pins("constraints.txt")["torch"] == Version("2.13.0")


def test_the_libraries_are_pinned_and_apart_from_our_own_set_up() -> None:
    libraries = pins("libraries.txt")
    assert set(libraries) == {"einops", "fla-core", "liger-kernel", "openrlhf", "trl", "verl"}
    assert set(libraries).isdisjoint(pins("constraints.txt"))


def test_shapes_are_checked_while_the_tests_run() -> None:
    """A batch whose tensors have different shapes is refused by its annotations, which only the tests check."""
    import torch

    from oracle.subject.batch import from_log_ratios

    with pytest.raises(jaxtyping.TypeCheckError, match="log_ratio"):
        from_log_ratios(torch.zeros(2, 3), torch.zeros(3, 2))


@pytest.mark.parametrize("package", ["oracle", "oracle.cli", "gpu_checks", "gpu_checks.cli"])
def test_importing_a_package_is_light(package: str) -> None:
    program = f"import sys, {package}; print(*{{'torch', 'sympy'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def test_the_command_says_its_version() -> None:
    command = Path(sys.executable).parent / "kl-oracle"
    run = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert PROJECT["version"] in run.stdout
