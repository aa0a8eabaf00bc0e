"""Statistical tests that state both of their error rates.

For each property three functions, as in TensorFlow Probability's `statistical_testing`: the test, the smallest
discrepancy that it detects, and the samples that it needs.

| property | functions | rates |
|---|---|---|
| a mean, the estimator known | `mean_test`, `mean_detectable`, `mean_samples` | proved (Bennett) |
| a mean on common tokens, the estimator unknown | `paired_test`, ..., `paired_samples` | proved (Maurer, Pontil) |
| a mean, looked at whenever one likes | `SequentialTest`, `sequential_detectable`, `..._samples` | proved (Ville) |
| the law of a sampler's tokens | `g_test`, `g_detectable`, `g_samples` | approximate, or proved (Agrawal) |

`contrast` and `samples_to_tell` say along which direction two objectives differ, and by how much, exactly. Differences
on common tokens may be given to `SequentialTest` too, with a claimed mean of 0: it needs fewer of them.
"""

from gpu_checks.statistics.directions import (
    Contrast,
    contrast,
    difference_direction,
    expected_gradient,
    projections,
    samples_to_tell,
)
from gpu_checks.statistics.gtest import Softmax, g_detectable, g_samples, g_statistic, g_test, g_threshold
from gpu_checks.statistics.law import Law
from gpu_checks.statistics.means import mean_detectable, mean_samples, mean_test
from gpu_checks.statistics.outcome import Outcome
from gpu_checks.statistics.paired import paired_detectable, paired_samples, paired_test
from gpu_checks.statistics.sequential import (
    Claim,
    SequentialTest,
    log_capital,
    sequential_detectable,
    sequential_samples,
)

__all__ = [
    "Claim",
    "Contrast",
    "Law",
    "Outcome",
    "SequentialTest",
    "Softmax",
    "contrast",
    "difference_direction",
    "expected_gradient",
    "g_detectable",
    "g_samples",
    "g_statistic",
    "g_test",
    "g_threshold",
    "log_capital",
    "mean_detectable",
    "mean_samples",
    "mean_test",
    "paired_detectable",
    "paired_samples",
    "paired_test",
    "projections",
    "samples_to_tell",
    "sequential_detectable",
    "sequential_samples",
]
