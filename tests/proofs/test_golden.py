"""The master table in numbers: one policy, one reference, one sampler, every cell to eight digits."""

import numpy as np
import pytest

from proofs.calculus import sample_coefficient
from proofs.estimators import K1, K2, K3
from proofs.forms import Correction, Form, Placement
from proofs.lowering import compile_numpy
from proofs.symbols import RHO, L

POLICY, REFERENCE = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])
UNIFORM = np.full(4, 0.25)

ZERO = [0.0, 0.0, 0.0, 0.0]
REVERSE = [0.37194382, -0.01529091, -0.17237999, -0.18427292]
FORWARD = [0.3, 0.1, -0.1, -0.3]
K2_REWARD = [0.17574101, -0.13180576, -0.08787051, 0.04393525]
K3_REWARD = [0.07194382, -0.11529091, -0.07237999, 0.11572708]
E_K2 = [0.54768483, -0.14709667, -0.26025049, -0.14033767]

LOSS, REWARD, _ = Placement
NONE, DETACHED, DIFFERENTIATED, _ = Correction
TABLE = [
    (K1, LOSS, ZERO, [-0.15, -0.05, 0.05, 0.15], ZERO, REVERSE),
    (K2, LOSS, REVERSE, [0.34657359, 0.10136628, -0.10136628, -0.34657359], REVERSE, E_K2),
    (K3, LOSS, FORWARD, [0.42916667, 0.26458333, -0.00416667, -0.68958333], FORWARD, REVERSE),
    (K1, REWARD, REVERSE, [0.34657359, 0.10136628, -0.10136628, -0.34657359], REVERSE, REVERSE),
    (K2, REWARD, K2_REWARD, [0.03160511, -0.13591581, -0.08376046, 0.18807116], K2_REWARD, K2_REWARD),
    (K3, REWARD, K3_REWARD, [-0.08259308, -0.16321706, -0.09719961, 0.34300974], K3_REWARD, K3_REWARD),
]


def expected_gradient(form, sampler):
    g = compile_numpy(sample_coefficient(form), [L, RHO])
    weights = sampler * g(np.log(POLICY / REFERENCE), POLICY / sampler)
    return weights - POLICY * weights.sum()


@pytest.mark.parametrize(("estimator", "placement", "on", "none", "detached", "live"), TABLE)
def test_every_cell(estimator, placement, on, none, detached, live):
    plain = Form(estimator, placement)
    assert expected_gradient(plain, POLICY) == pytest.approx(on, abs=1e-8)
    for correction, wanted in ((NONE, none), (DETACHED, detached), (DIFFERENTIATED, live)):
        found = expected_gradient(Form(estimator, placement, correction), UNIFORM)
        assert found == pytest.approx(wanted, abs=1e-8)


def test_stale_reward():
    g = compile_numpy(RHO * (L - np.log(1)), [L, RHO])
    stale = UNIFORM * g(np.log(UNIFORM / REFERENCE), POLICY / UNIFORM)
    wanted = [0.22651842, -0.03805534, -0.10646325, -0.08199983]
    assert stale - POLICY * stale.sum() == pytest.approx(wanted, abs=1e-8)
