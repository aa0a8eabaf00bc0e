// How far a device's expf, logf and exp2f are from the truth, over any set of float32 inputs.
//
// Inputs are bit patterns: start, start + step, ... (modulo 2^32), `count` of them; step 1 and count 2^32 are all there
// are. The truth is the same function in double precision, whose own error is 2^-29 of a float32's last place.
//
// Errors are in units in the last place of the truth, at least 2^-149. An infinity stands for 2^128, so overflow just
// below the largest number counts as what it is; NaN where one is due is right, and anything else then is infinitely
// wrong. Each block leaves its worst error, the input's bits, and what the function gave.

#include "storage.cuh"

__device__ __forceinline__ float single_of(int function, float x) {
    if (function == 0) return expf(x);
    if (function == 1) return logf(x);
    return exp2f(x);
}

__device__ __forceinline__ double double_of(int function, double x) {
    if (function == 0) return exp(x);
    if (function == 1) return log(x);
    return exp2(x);
}

__device__ __forceinline__ double clamped(double number) {
    const double limit = 3.402823669209384634633746e38;  // 2^128
    return number > limit ? limit : number < -limit ? -limit : number;
}

__device__ __forceinline__ double ulps_off(float found, double due) {
    if (found != found || due != due) return found != found && due != due ? 0.0 : 1e300;
    const double truth = clamped(due);
    const int exponent = truth == 0.0 ? -126 : ilogb(truth);
    // 2^128 is the first number past the largest, and is as far from it as that one's last place
    const int last = (exponent < -126 ? -126 : exponent > 127 ? 127 : exponent) - 23;
    return fabs(clamped(found) - truth) * scalbn(1.0, -last);
}

extern "C" __global__ void __launch_bounds__(KL_THREADS)
    ulps(int function, unsigned start, unsigned step, unsigned long long count, double* error, unsigned* input,
         float* value) {
    __shared__ double errors[KL_THREADS];
    __shared__ unsigned inputs[KL_THREADS];
    const int thread = threadIdx.x;
    const unsigned long long all = static_cast<unsigned long long>(gridDim.x) * KL_THREADS;

    double worst = -1.0;
    unsigned at = start;
    for (unsigned long long i = static_cast<unsigned long long>(blockIdx.x) * KL_THREADS + thread; i < count;
         i += all) {
        const unsigned bits = start + static_cast<unsigned>(i) * step;
        const float x = __int_as_float(static_cast<int>(bits));
        const double off = ulps_off(single_of(function, x), double_of(function, x));
        if (off > worst) {
            worst = off;
            at = bits;
        }
    }

    errors[thread] = worst;
    inputs[thread] = at;
    __syncthreads();  // worst: written, before it is read by others
    for (int half = KL_THREADS / 2; half > 0; half /= 2) {
        if (thread < half && errors[thread + half] > errors[thread]) {
            errors[thread] = errors[thread + half];
            inputs[thread] = inputs[thread + half];
        }
        __syncthreads();  // worst: one level, before the next
    }
    if (thread == 0) {
        error[blockIdx.x] = errors[0];
        input[blockIdx.x] = inputs[0];
        value[blockIdx.x] = single_of(function, __int_as_float(static_cast<int>(inputs[0])));
    }
}

#ifdef KL_ON_CPU
CUDA_ON_CPU_ENTRY(ulps)
#endif
