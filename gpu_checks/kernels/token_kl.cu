// A KL estimator on one token a row, fused with the log-softmax: the KL term of GRPO and its relatives.
//
//     log_probability = logits[token] / T - log sum exp(logits / T)
//     L               = log_probability - reference
//     value           = k(L), or rho k(L) with rho = exp(log_probability - sampler)
//     gradient        = upstream c(L) (e_token - softmax(logits / T)) / T
//
// The form is chosen when this is compiled: KL_ESTIMATOR is the k of the value (k1, k2, k3), KL_FORM the
// coefficient c (k3_as_loss, k1_in_reward, ...). With KL_WEIGHTED=1 there is a rho, KL_FORM takes it and ends
// in _detached or _differentiated. Values and coefficients come from the formulas that the proofs lower.
//
// One block of KL_THREADS threads a row. Token ids lie in [0, vocabulary).

#include "log_sum_exp.cuh"

#include "kl_forms.cuh"

#ifndef KL_ESTIMATOR
#define KL_ESTIMATOR k3
#endif
#ifndef KL_FORM
#define KL_FORM k3_as_loss
#endif
#ifndef KL_WEIGHTED
#define KL_WEIGHTED 0
#endif

#define KL_PASTE(left, right) left##right
#define KL_WITH_WEIGHT(estimator) KL_PASTE(estimator, _in_reward_detached)  // rho k, also where k overflows

__device__ __forceinline__ float importance(float log_probability, const float* sampler, unsigned row) {
#if KL_WEIGHTED
    return expf(log_probability - sampler[row]);
#else
    return 1.0f;
#endif
}

__device__ __forceinline__ float value_of(float log_ratio, float rho) {
#if KL_WEIGHTED
    return kl_oracle::KL_WITH_WEIGHT(KL_ESTIMATOR)(log_ratio, rho);
#else
    return kl_oracle::KL_ESTIMATOR(log_ratio);
#endif
}

__device__ __forceinline__ float coefficient_of(float log_ratio, float rho) {
#if KL_WEIGHTED
    return kl_oracle::KL_FORM(log_ratio, rho);
#else
    return kl_oracle::KL_FORM(log_ratio);
#endif
}

// value, log_probability and log_sum_exp have a number a row; sampler is read only with KL_WEIGHTED.
extern "C" __global__ void __launch_bounds__(KL_THREADS)
    token_kl_forward(const Stored* logits, const long long* tokens, const float* reference, const float* sampler,
                     float* value, float* log_probability, float* lse, int vocabulary, float inverse_temperature) {
    __shared__ float shared[KL_THREADS];
    const unsigned row = blockIdx.x;
    const Stored* scores = logits + row_offset(row, vocabulary);
    const float normaliser = log_sum_exp(scores, vocabulary, inverse_temperature, shared);
    if (threadIdx.x == 0) {
        const float own = widen(scores[tokens[row]]) * inverse_temperature - normaliser;
        lse[row] = normaliser;
        log_probability[row] = own;
        value[row] = value_of(own - reference[row], importance(own, sampler, row));
    }
}

// gradient [row, token] in the storage format; lse as the forward pass left it.
extern "C" __global__ void __launch_bounds__(KL_THREADS)
    token_kl_backward(const Stored* logits, const long long* tokens, const float* reference, const float* sampler,
                      const float* lse, const float* upstream, Stored* gradient, int vocabulary,
                      float inverse_temperature) {
    const unsigned row = blockIdx.x;
    const Stored* scores = logits + row_offset(row, vocabulary);
    Stored* out = gradient + row_offset(row, vocabulary);
    const int chosen = static_cast<int>(tokens[row]);
    const float own = widen(scores[chosen]) * inverse_temperature - lse[row];
    const float coefficient = coefficient_of(own - reference[row], importance(own, sampler, row));
    const float scale = upstream[row] * coefficient * inverse_temperature;
    for (int token = threadIdx.x; token < vocabulary; token += KL_THREADS) {
        const float probability = expf(widen(scores[token]) * inverse_temperature - lse[row]);
        const float own_token = token == chosen ? 1.0f : 0.0f;
        out[token] = narrow<Stored>(scale * (own_token - probability));
    }
}

#ifdef KL_ON_CPU
CUDA_ON_CPU_ENTRY(token_kl_forward)
CUDA_ON_CPU_ENTRY(token_kl_backward)
#endif
