"""Modules, classes with a method, partials and lambdas as targets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from oracle.api import identify_callable
from oracle.errors import TargetError
from oracle.subject.batch import mild
from oracle.subject.binding import bind
from oracle.subject.opening import open_any
from oracle.subject.roles import Role
from oracle.subject.subject import Subject
from oracle.subject.target import resolve
from tests.oracle.judging import said

from .construct_programs import Loss

FILE = str(Path(__file__).with_name("construct_programs.py"))
BATCH = mild(3, 2, seed=1)
RATIO = BATCH.policy - BATCH.reference


def opened(name: str, *settings: str) -> Subject:
    (target,) = resolve(f"{FILE}:{name}")
    return open_any(target, bind(target.function, settings=settings))


@pytest.mark.parametrize(
    ("name", "settings", "power"),
    [
        ("Penalties", ["coef=3"], 2),
        ("Penalties.k1", ["coef=3"], 1),
        ("Penalties.fixed", [], 2),
        ("Penalties.made", [], 2),
        ("Uncalled.k2", [], 2),
        ("second", [], 2),
        ("second", ["kind=1"], 1),
        ("short", [], 2),
        ("instance", [], 2),
        ("instance.k1", [], 1),
    ],
)
def test_what_is_called(name: str, settings: list[str], power: int) -> None:
    """The value is that of the expression, whatever form the code has."""
    subject = opened(name, *settings)
    scale = 3.0 if settings == ["coef=3"] else 1.0
    expected = scale * (RATIO if power == 1 else 0.5 * RATIO.square())
    assert subject.kind == "penalty"
    assert torch.allclose(subject.result(BATCH, BATCH.policy), expected)


def test_a_constructor_has_roles_and_settings() -> None:
    subject = opened("Loss", "kind=k3")
    assert subject.roles()["beta"] == "beta"
    k3 = (torch.expm1(-RATIO) + RATIO).mean()
    assert torch.allclose(subject.result(BATCH.with_beta(2.0), BATCH.policy), 2 * k3)
    v = identify_callable(Loss, max_examples=1)[0]
    assert said(v.on_policy) == ("reverse_kl", "token", 1.0)
    assert Role.BETA in subject.binding.roles


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Uncalled", "name one of its methods: Uncalled.k2"),
        ("Bare", "it has no method; write a small function"),
        ("Penalties.k9", "there is no 'k9' in it"),
    ],
)
def test_a_class_without_a_call_is_explained(name: str, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        resolve(f"{FILE}:{name}")


def test_a_file_lists_partials_and_instances_but_no_classes() -> None:
    names = [t.name.rpartition(":")[2] for t in resolve(FILE)]
    assert names == ["second", "short", "instance"]
