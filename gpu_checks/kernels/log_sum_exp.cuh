// log sum exp of a row in one reading of it (an online softmax: Milakov and Gimelshein, 2018, arXiv:1805.02867).
//
// A thread takes every KL_THREADS-th logit, KL_CHUNK of them at a time, and rescales its sum once a chunk. An
// addend goes through at most ceil(V / KL_THREADS) + log2(KL_THREADS) additions and
// ceil(V / (KL_THREADS KL_CHUNK)) + 1 rescalings.
#pragma once

#include "reduction.cuh"

#ifndef KL_CHUNK
#define KL_CHUNK 16
#endif

// Lower than any logit but -inf. Finite, so that a thread that has seen nothing, or -inf alone, has the
// sum 0 and not exp(-inf + inf).
#define KL_LOWEST (-3.402823466e38f)

// A logit -inf adds nothing; a NaN or +inf makes the result NaN; a row of nothing but -inf has -inf.
// Vocabularies up to 2^30.
__device__ __forceinline__ float log_sum_exp(const Stored* row, int vocabulary, float inverse_temperature,
                                             float* shared) {
    float maximum = KL_LOWEST;
    float sum = 0.0f;
    for (int first = threadIdx.x; first < vocabulary; first += KL_CHUNK * KL_THREADS) {
        float larger = maximum;
        for (int step = 0; step < KL_CHUNK; ++step) {
            const int token = first + step * KL_THREADS;
            if (token < vocabulary) larger = fmaxf(larger, widen(row[token]) * inverse_temperature);
        }
        sum *= expf(maximum - larger);
        maximum = larger;
        for (int step = 0; step < KL_CHUNK; ++step) {
            const int token = first + step * KL_THREADS;
            if (token < vocabulary) sum += expf(widen(row[token]) * inverse_temperature - maximum);
        }
    }
    const float row_maximum = block_max(maximum, shared);
    const float row_sum = block_sum(sum * expf(maximum - row_maximum), shared);
    return row_maximum + logf(row_sum);
}
