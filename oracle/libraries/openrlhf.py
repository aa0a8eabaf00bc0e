"""OpenRLHF: ``compute_approx_kl`` with each estimator, as loss and in reward, ``unbiased_gradient`` on and off."""

from __future__ import annotations

from oracle.libraries.entry import Entry, named

_FILE = "openrlhf/models/utils.py"
_ESTIMATORS = ("k1", "k2", "k3")

ENTRIES = (
    *(
        Entry(
            "openrlhf",
            "openrlhf",
            _FILE,
            "compute_approx_kl",
            f"{k}, unbiased_gradient" if unbiased else k,
            named("compute_approx_kl"),
            "loss",
            {"kl_estimator": k, "unbiased_gradient": unbiased},
        )
        for unbiased in (False, True)
        for k in _ESTIMATORS
    ),
    *(
        Entry(
            "openrlhf",
            "openrlhf",
            _FILE,
            "compute_approx_kl",
            k,
            named("compute_approx_kl"),
            "reward",
            {"kl_estimator": k},
        )
        for k in _ESTIMATORS
    ),
)
