"""The examples in docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["estimators", "lowering.compiled"])
def test_examples(module):
    results = doctest.testmod(importlib.import_module(f"proofs.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
