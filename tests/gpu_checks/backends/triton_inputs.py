"""The numbers that the kernels of triton_gap_kernels.py read."""

import numpy as np
import torch

N = 64


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Two float32 vectors [N]; among the first one's are ties between two bfloat16 numbers, and an overflow."""
    random = np.random.default_rng(5)
    first = random.standard_normal(N).astype(np.float32)
    first[:4] = [1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 3.4e38]
    return torch.from_numpy(first), torch.from_numpy(random.standard_normal(N).astype(np.float32))
