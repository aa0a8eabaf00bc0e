// How numbers are stored, and where a row begins. KL_STORAGE is float, __nv_bfloat16 or __half;
// arithmetic is in float32 whatever the storage.
#pragma once

#ifdef KL_ON_CPU
#include "cuda_on_cpu.hpp"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#ifndef KL_STORAGE
#define KL_STORAGE float
#endif
#ifndef KL_THREADS
#define KL_THREADS 256
#endif

static_assert(KL_THREADS >= 32 && KL_THREADS <= 1024 && (KL_THREADS & (KL_THREADS - 1)) == 0,
              "KL_THREADS is a power of two from 32 to 1024");

typedef KL_STORAGE Stored;

__device__ __forceinline__ float widen(float number) { return number; }
__device__ __forceinline__ float widen(__nv_bfloat16 number) { return __bfloat162float(number); }
__device__ __forceinline__ float widen(__half number) { return __half2float(number); }

// Stores round to nearest, ties to even.
template <typename T> __device__ __forceinline__ T narrow(float number);
template <> __device__ __forceinline__ float narrow<float>(float number) { return number; }
template <> __device__ __forceinline__ __nv_bfloat16 narrow<__nv_bfloat16>(float number) {
    return __float2bfloat16_rn(number);
}
template <> __device__ __forceinline__ __half narrow<__half>(float number) { return __float2half_rn(number); }

// Elements before a row. A batch of 2^31 logits is 16,744 rows of 128,256 tokens: 64 bits.
__device__ __forceinline__ long long row_offset(unsigned row, int vocabulary) {
    return static_cast<long long>(row) * vocabulary;
}
