// A divergence of two distributions over a whole row of logits, and its gradient by the policy's logits.
//
//     KL_DIRECTION 0, KL(policy||reference): value = sum p L,   gradient = upstream p (L - value)
//     KL_DIRECTION 1, KL(reference||policy): value = -sum q L,  gradient = upstream (p - q)
//
// with p, q the softmax of policy and reference and L = log p - log q. The value is added up as an f-divergence:
// its summands have q - p (or p - q) added, which sums to 0, and so are nowhere negative, and small where L is. A
// common error of the log-sum-exps then cancels to first order, and a logit -inf needs no case of its own.
//
// One block of KL_THREADS threads a row.

#include "log_sum_exp.cuh"

#include "kl_forms.cuh"

#ifndef KL_DIRECTION
#define KL_DIRECTION 0
#endif

// The summand over whichever of the two probabilities is the larger: the other form could overflow.
__device__ __forceinline__ float summand(float p, float q, float log_ratio) {
    if (p == 0.0f && q == 0.0f) return 0.0f;  // log_ratio may be inf - inf here
#if KL_DIRECTION == 0
    return log_ratio > 0.0f ? p * kl_oracle::reverse_kl_term_over_ratio(log_ratio)
                            : q * kl_oracle::reverse_kl_term(log_ratio);
#else
    return log_ratio > 0.0f ? p * kl_oracle::forward_kl_term_over_ratio(log_ratio)
                            : q * kl_oracle::forward_kl_term(log_ratio);
#endif
}

__device__ __forceinline__ float slope(float p, float q, float log_ratio, float divergence) {
#if KL_DIRECTION == 0
    return p == 0.0f ? 0.0f : p * (log_ratio - divergence);
#else
    return p - q;
#endif
}

// value has a number a row; gradient [row, token] is in the storage format.
extern "C" __global__ void __launch_bounds__(KL_THREADS)
    whole_kl(const Stored* policy, const Stored* reference, const float* upstream, float* value, Stored* gradient,
             int vocabulary, float inverse_temperature) {
    __shared__ float shared[KL_THREADS];
    const unsigned row = blockIdx.x;
    const Stored* ours = policy + row_offset(row, vocabulary);
    const Stored* theirs = reference + row_offset(row, vocabulary);
    Stored* out = gradient + row_offset(row, vocabulary);
    const float our_lse = log_sum_exp(ours, vocabulary, inverse_temperature, shared);
    const float their_lse = log_sum_exp(theirs, vocabulary, inverse_temperature, shared);

    float sum = 0.0f;
    for (int token = threadIdx.x; token < vocabulary; token += KL_THREADS) {
        const float log_p = widen(ours[token]) * inverse_temperature - our_lse;
        const float log_q = widen(theirs[token]) * inverse_temperature - their_lse;
        sum += summand(expf(log_p), expf(log_q), log_p - log_q);
    }
    const float divergence = block_sum(sum, shared);
    if (threadIdx.x == 0) value[row] = divergence;

    const float scale = upstream[row] * inverse_temperature;
    for (int token = threadIdx.x; token < vocabulary; token += KL_THREADS) {
        const float log_p = widen(ours[token]) * inverse_temperature - our_lse;
        const float log_q = widen(theirs[token]) * inverse_temperature - their_lse;
        out[token] = narrow<Stored>(scale * slope(expf(log_p), expf(log_q), log_p - log_q, divergence));
    }
}

#ifdef KL_ON_CPU
CUDA_ON_CPU_ENTRY(whole_kl)
#endif
