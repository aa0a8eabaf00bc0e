"""Triton's interpreter, with its gaps closed.

`TRITON_INTERPRET=1` runs a kernel's source on NumPy. Where the stock interpreter (measured with Triton 3.9.0) differs
from compiled code, `install` either makes it agree or makes it refuse:

| gap | stock | with the shim |
|---|---|---|
| float32 to bfloat16 | truncates | rounds to nearest even, as `cvt.rn` does |
| arithmetic on bfloat16 | works on the bit patterns | computed in float32, rounded to bfloat16; else `Refused` |
| sums and scans in 16 bits | bit patterns, or too wide | `Refused`: the order of rounding is the compiler's |
| `tl.dot` of bfloat16 | bit patterns | operands in float32 |
| a scalar comparison as mask | becomes an integer, an error | int1 |
| a Python float as argument | stays a Python float | a float32 scalar, as the launcher passes it |
| `triton.autotune` | wants a driver to measure with | takes the first configuration, and says which |
| libdevice | returns None | NumPy bodies of the plain functions; the others `Refused` |

What no shim mends: NumPy's exp and log stand for ex2.approx and lg2.approx, programs run one after another (no races,
no atomics in contention), and num_warps, layouts, TF32 and contraction to fma are without effect.

One process either interprets or compiles: the variable is read when a kernel is decorated. So this package is loaded
in a process of its own (gpu_checks.backends.triton_worker), before anything else imports triton.
"""

from gpu_checks.backends.triton_shim._bfloat16 import from_bits, to_bits
from gpu_checks.backends.triton_shim._calls import first_configurations
from gpu_checks.backends.triton_shim._install import install
from gpu_checks.backends.triton_shim._poison import poison
from gpu_checks.backends.triton_shim._programs import only
from gpu_checks.backends.triton_shim.refused import Refused

__all__ = ["Refused", "first_configurations", "from_bits", "install", "only", "poison", "to_bits"]
