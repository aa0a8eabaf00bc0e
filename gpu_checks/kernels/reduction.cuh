// The maximum and the sum over a block; every thread gets the result. `shared` has KL_THREADS floats, and may
// be used again as soon as a function returns.
#pragma once

#include "storage.cuh"

// A tree in shared memory. A NaN is passed over, as fmaxf does.
__device__ __forceinline__ float block_max(float number, float* shared) {
    const int thread = threadIdx.x;
    shared[thread] = number;
    __syncthreads();  // max: written, before it is read by others
    for (int half = KL_THREADS / 2; half > 0; half /= 2) {
        if (thread < half) shared[thread] = fmaxf(shared[thread], shared[thread + half]);
        __syncthreads();  // max: one level, before the next
    }
    const float result = shared[0];
    __syncthreads();  // max: read by all, before the caller writes again
    return result;
}

// A butterfly in each warp, then one over the warps' sums: an addend goes through log2(KL_THREADS) additions,
// and every thread ends with the same bits, because a + b = b + a.
__device__ __forceinline__ float block_sum(float number, float* shared) {
    const unsigned all = 0xffffffffu;
    const int warps = KL_THREADS / 32;
    for (int lanes = 16; lanes > 0; lanes /= 2) number += __shfl_xor_sync(all, number, lanes);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = number;
    __syncthreads();  // sum: written, before it is read by others
    float result = shared[threadIdx.x % warps];
    __syncthreads();  // sum: read by all, before the caller writes again
    for (int lanes = warps / 2; lanes > 0; lanes /= 2) result += __shfl_xor_sync(all, result, lanes);
    return result;
}
