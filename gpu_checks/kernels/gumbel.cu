// Tokens drawn from softmax(logits / T): the argmax of logits / T + Gumbel noise (Gumbel, 1954; Maddison, Tarlow,
// Minka: A* sampling, 2014).
//
// The noise of a token is -log(-log u), u in (0, 1) from a word of Philox4x32-10: counter (token / 4, draw, row, 0),
// key (seed's low word, its high word), word token % 4. The lowest token wins a tie. So a draw can be replayed
// from its seed, on any machine, up to the rounding of log: gpu_checks/sampling.py does.
//
// One block of KL_THREADS threads a draw: blockIdx.x is the draw, blockIdx.y the row.

#include "storage.cuh"

#include "philox.cuh"

// One of 2^23 numbers from 2^-24 to 1 - 2^-24, each step exact. With 24 bits, ((word >> 8) + 0.5) 2^-24, the last would
// round to 1, and its noise to infinity: once in 2^24 tokens, so in one of 131 draws at 128,256 tokens.
__device__ __forceinline__ float uniform(unsigned word) {
    return (static_cast<float>(word >> 9) + 0.5f) * 1.1920928955078125e-7f;  // 2^-23
}

__device__ __forceinline__ bool beats(float score, int token, float other_score, int other_token) {
    return score > other_score || (score == other_score && token < other_token);
}

// out [row, draw]. -inf is never drawn; a row with a NaN, or with nothing but -inf, has the token -1.
// Vocabularies up to 2^30.
extern "C" __global__ void __launch_bounds__(KL_THREADS)
    gumbel(const Stored* logits, long long* out, unsigned seed_low, unsigned seed_high, int vocabulary,
           float inverse_temperature) {
    __shared__ float scores[KL_THREADS];
    __shared__ int tokens[KL_THREADS];
    const int nobody = 0x7fffffff;
    const float infinity = __int_as_float(0x7f800000);
    const unsigned draw = blockIdx.x;
    const unsigned row = blockIdx.y;
    const int thread = threadIdx.x;
    const Stored* own = logits + row_offset(row, vocabulary);

    float best = -infinity;
    int winner = nobody;
    for (int group = thread; group < (vocabulary + 3) / 4; group += KL_THREADS) {
        const PhiloxWords words = philox(group, draw, row, 0u, seed_low, seed_high);
        for (int lane = 0; lane < 4; ++lane) {
            const int token = 4 * group + lane;
            if (token >= vocabulary) break;
            const float logit = widen(own[token]) * inverse_temperature;
            const float score = logit - logf(-logf(uniform(words.word[lane])));
            if (score > best) {
                best = score;
                winner = token;
            }
            if (score != score) {  // a NaN beats every score, and has no token
                best = infinity;
                winner = -1;
            }
        }
    }

    scores[thread] = best;
    tokens[thread] = winner;
    __syncthreads();  // argmax: written, before it is read by others
    for (int half = KL_THREADS / 2; half > 0; half /= 2) {
        if (thread < half && beats(scores[thread + half], tokens[thread + half], scores[thread], tokens[thread])) {
            scores[thread] = scores[thread + half];
            tokens[thread] = tokens[thread + half];
        }
        __syncthreads();  // argmax: one level, before the next
    }
    if (thread == 0) {
        const long long place = static_cast<long long>(row) * gridDim.x + draw;
        out[place] = tokens[0] == nobody ? -1 : tokens[0];
    }
}

// Philox's words for known answers: `blocks` has six numbers each (four of the counter, two of the key), `words` four.
extern "C" __global__ void __launch_bounds__(KL_THREADS)
    philox_words(const unsigned* blocks, unsigned* words, int count) {
    const int index = static_cast<int>(blockIdx.x * KL_THREADS + threadIdx.x);
    if (index >= count) return;
    const unsigned* b = blocks + 6 * index;
    const PhiloxWords made = philox(b[0], b[1], b[2], b[3], b[4], b[5]);
    for (int lane = 0; lane < 4; ++lane) words[4 * index + lane] = made.word[lane];
}

#ifdef KL_ON_CPU
CUDA_ON_CPU_ENTRY(gumbel)
CUDA_ON_CPU_ENTRY(philox_words)
#endif
