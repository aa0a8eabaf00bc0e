// CUDA C++ on the CPU, for one source that runs in both places (C++17, Linux, GCC or Clang).
//
// Each thread of a block is a fiber; blocks run one after another. (ucontext makes a fiber; _setjmp and _longjmp switch,
// because swapcontext asks the kernel about signals each time: a row takes thousands of switches.) A fiber gives way only at
// __syncthreads, __syncwarp and shuffles, and the schedule decides who goes next: a missing barrier shows under the
// schedule that runs a reader before its writer. Warps are 32 lanes; a shuffle waits for its warp and not for its
// block, or it would hide a missing __syncthreads.
//
// Shared memory is poisoned with 0xff bytes (NaN, -1) before each block. Divergence at a barrier or in a warp ends
// the launch with an error that names the lines, and so does an access outside of mapped memory; nothing aborts.
//
// Compile with -fvisibility=hidden: each library has a machine of its own, which runs one launch at a time. And with
// -U_FORTIFY_SOURCE: its check of longjmp takes a change of stacks for an error.
//
// Not modelled: memory ordering within a step, atomics, dynamic shared memory, partial warp masks, contraction to
// fma, the device's own expf and logf (these are the C library's).
#pragma once

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// In a section of its own, so that it can be found and poisoned; `used`, so that no value is kept in a register
// over a barrier. For variables of a kernel, not of an inline function.
#define __shared__ static __attribute__((section("cuda_shared"), used))

extern "C" {
extern unsigned char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern unsigned char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));
}

namespace cuda_on_cpu {

struct Index {
    unsigned x, y, z;
};

}  // namespace cuda_on_cpu

inline cuda_on_cpu::Index blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

enum Schedule : uint32_t { forward_order = 0, reverse_order = 1, random_order = 2 };

// What a launch is told; gpu_checks/backends/host.py has the same fields.
struct Launch {
    uint32_t grid[3];
    uint32_t threads;         // of a block, all along x
    uint32_t schedule;        // of warps, and of the lanes in a warp
    uint32_t seed;            // of the random order
    const uint64_t* blocks;   // indices x + grid.x (y + grid.y z) of the blocks to run; null: all of them
    uint64_t block_count;
};

constexpr unsigned warp_size = 32;
constexpr unsigned most_threads = 1024;
constexpr size_t stack_size = 64 * 1024;

enum class State { runnable, at_warp, at_block, ended };

struct Fiber {
    ucontext_t beginning;
    jmp_buf place;       // where it goes on, once it has begun
    bool begun;
    void* stack;         // kept for the next launch
    State state;
    const char* file;    // where it waits
    int line;
    uint64_t given[2];   // to a shuffle; two, because a quick lane may be one shuffle ahead
    unsigned shuffles;
};

struct Machine {
    Fiber fibers[most_threads];
    jmp_buf scheduler;
    unsigned current = 0;
    unsigned threads = 0;
    unsigned warps = 0;
    Schedule schedule = forward_order;
    uint64_t random = 0;
    void (*body)(void**) = nullptr;
    void** arguments = nullptr;
    char error[512] = "";
};

inline Machine machine;

// splitmix64 (Steele, Lea, Flood, 2014), below `bound`.
inline unsigned draw_below(unsigned bound) {
    uint64_t z = machine.random += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<unsigned>((z ^ (z >> 31)) % bound);
}

inline Fiber& self() { return machine.fibers[machine.current]; }

__attribute__((noinline)) inline void wait(State state, const char* file, int line) {
    Fiber& fiber = self();
    fiber.state = state;
    fiber.file = file;
    fiber.line = line;
    if (_setjmp(fiber.place) == 0) _longjmp(machine.scheduler, 1);
}

// Let the current fiber run until it waits.
__attribute__((noinline)) inline void resume() {
    if (_setjmp(machine.scheduler) != 0) return;
    Fiber& fiber = self();
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.beginning);
}

// A fiber runs its thread of one block after the other.
inline void fiber_main() {
    for (;;) {
        machine.body(machine.arguments);
        wait(State::ended, "", 0);
    }
}

inline const char* base_name(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

inline void describe(const Fiber& fiber, char* text, size_t size) {
    if (fiber.state == State::ended) {
        snprintf(text, size, "has ended");
    } else {
        const char* what = fiber.state == State::at_block ? "__syncthreads" : "a warp's exchange";
        snprintf(text, size, "waits for %s at %s:%d", what, base_name(fiber.file), fiber.line);
    }
}

// Report that two threads are at different places; false, for the caller to pass on.
inline bool diverged(const char* what, unsigned one, unsigned other) {
    char first[160], second[160];
    describe(machine.fibers[one], first, sizeof first);
    describe(machine.fibers[other], second, sizeof second);
    snprintf(machine.error, sizeof machine.error, "%s: thread %u %s, thread %u %s", what, one, first, other, second);
    return false;
}

inline bool together(const Fiber& one, const Fiber& other) {
    return one.state == other.state && one.line == other.line && strcmp(one.file, other.file) == 0;
}

// Find two of the threads in [low, high) that do not wait at the same place; -1 where all do.
inline int straggler(unsigned low, unsigned high) {
    for (unsigned thread = low + 1; thread < high; ++thread)
        if (!together(machine.fibers[low], machine.fibers[thread])) return static_cast<int>(thread);
    return -1;
}

// Let each lane of a warp run to where it waits next. False: the warp has diverged.
inline bool step_warp(unsigned warp) {
    const unsigned low = warp * warp_size;
    const unsigned high = low + warp_size < machine.threads ? low + warp_size : machine.threads;
    const unsigned lanes = high - low;
    unsigned order[warp_size];
    for (unsigned i = 0; i < lanes; ++i) order[i] = machine.schedule == reverse_order ? high - 1 - i : low + i;
    if (machine.schedule == random_order)
        for (unsigned i = lanes - 1; i > 0; --i) std::swap(order[i], order[draw_below(i + 1)]);
    for (unsigned i = 0; i < lanes; ++i) {
        if (machine.fibers[order[i]].state != State::runnable) continue;
        machine.current = order[i];
        resume();
        if (machine.error[0]) return false;
    }
    bool exchanging = false;
    for (unsigned thread = low; thread < high; ++thread)
        exchanging = exchanging || machine.fibers[thread].state == State::at_warp;
    if (!exchanging) return true;
    const int other = straggler(low, high);
    if (other >= 0) return diverged("warp divergence", low, static_cast<unsigned>(other));
    for (unsigned thread = low; thread < high; ++thread) machine.fibers[thread].state = State::runnable;
    return true;
}

// The warp that goes next; -1 where all wait for the block, or have ended.
inline int next_warp() {
    int runnable[most_threads / warp_size];
    unsigned count = 0;
    for (unsigned warp = 0; warp < machine.warps; ++warp) {
        const unsigned low = warp * warp_size;
        const unsigned high = low + warp_size < machine.threads ? low + warp_size : machine.threads;
        for (unsigned thread = low; thread < high; ++thread) {
            if (machine.fibers[thread].state == State::runnable) {
                runnable[count++] = static_cast<int>(warp);
                break;
            }
        }
    }
    if (count == 0) return -1;
    if (machine.schedule == random_order) return runnable[draw_below(count)];
    return runnable[machine.schedule == reverse_order ? count - 1 : 0];
}

// Make the fibers of a launch; false: no memory.
inline bool prepare() {
    for (unsigned thread = 0; thread < machine.threads; ++thread) {
        Fiber& fiber = machine.fibers[thread];
        if (!fiber.stack) fiber.stack = malloc(stack_size);
        if (!fiber.stack || getcontext(&fiber.beginning) != 0) {
            snprintf(machine.error, sizeof machine.error, "no memory for the stacks of %u threads", machine.threads);
            return false;
        }
        fiber.beginning.uc_stack.ss_sp = fiber.stack;
        fiber.beginning.uc_stack.ss_size = stack_size;
        fiber.beginning.uc_link = nullptr;
        makecontext(&fiber.beginning, fiber_main, 0);
        fiber.begun = false;
    }
    return true;
}

// While a launch runs, an access outside of memory is its error. Other threads keep the handlers that there were.
struct Guard {
    struct sigaction before[2];

    Guard();
    ~Guard() {
        sigaction(SIGSEGV, &before[0], nullptr);
        sigaction(SIGBUS, &before[1], nullptr);
    }
};

inline Guard* guard = nullptr;
inline pthread_t launching;

inline void outside(int signal, siginfo_t* info, void*) {
    if (!pthread_equal(pthread_self(), launching)) {
        sigaction(signal, &guard->before[signal == SIGSEGV ? 0 : 1], nullptr);  // and the access is tried again
        return;
    }
    snprintf(machine.error, sizeof machine.error, "thread %u of block (%u, %u, %u) is outside of memory, at %p",
             machine.current, blockIdx.x, blockIdx.y, blockIdx.z, info->si_addr);
    _longjmp(machine.scheduler, 1);
}

inline Guard::Guard() {
    guard = this;
    launching = pthread_self();
    struct sigaction action = {};
    action.sa_sigaction = outside;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;  // the handler is left by a jump
    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGBUS, &action, &before[1]);
}

inline bool run_block() {
    memset(__start_cuda_shared, 0xff, static_cast<size_t>(__stop_cuda_shared - __start_cuda_shared));
    for (unsigned thread = 0; thread < machine.threads; ++thread) {
        machine.fibers[thread].state = State::runnable;
        machine.fibers[thread].shuffles = 0;
    }
    for (;;) {
        for (int warp = next_warp(); warp >= 0; warp = next_warp())
            if (!step_warp(static_cast<unsigned>(warp))) return false;
        const int other = straggler(0, machine.threads);
        if (other >= 0) return diverged("barrier divergence", 0, static_cast<unsigned>(other));
        if (machine.fibers[0].state == State::ended) return true;
        for (unsigned thread = 0; thread < machine.threads; ++thread) machine.fibers[thread].state = State::runnable;
    }
}

}  // namespace cuda_on_cpu

struct cuda_on_cpu_thread_index {
    struct {
        operator unsigned() const { return cuda_on_cpu::machine.current; }
    } x;
    struct {
        operator unsigned() const { return 0; }
    } y, z;
};
inline const cuda_on_cpu_thread_index threadIdx{};

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    cuda_on_cpu::wait(cuda_on_cpu::State::at_block, file, line);
}
inline void __syncwarp(unsigned = 0xffffffffu, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    cuda_on_cpu::wait(cuda_on_cpu::State::at_warp, file, line);
}

namespace cuda_on_cpu {

// Give a value to the warp and take that of another lane.
template <typename T> T exchange(unsigned mask, T value, unsigned lane, const char* file, int line) {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= sizeof(uint64_t), "of at most 8 bytes");
    Fiber& fiber = self();
    const unsigned turn = fiber.shuffles++ % 2;
    memcpy(&fiber.given[turn], &value, sizeof value);
    const unsigned first = machine.current - machine.current % warp_size;
    const bool exists = lane < warp_size && first + lane < machine.threads;
    if (mask != 0xffffffffu || !exists) {
        snprintf(machine.error, sizeof machine.error, "shuffle at %s:%d: %s", base_name(file), line,
                 exists ? "a mask of some lanes alone is not supported" : "from a lane that does not exist");
    }
    wait(State::at_warp, file, line);
    T taken;
    memcpy(&taken, &machine.fibers[first + lane].given[turn], sizeof taken);
    return taken;
}

inline int run(const Launch& launch, void (*body)(void**), void** arguments) {
    machine.error[0] = 0;
    if (launch.threads == 0 || launch.threads > most_threads) {
        snprintf(machine.error, sizeof machine.error, "a block has from 1 to %u threads", most_threads);
        return 1;
    }
    machine.threads = launch.threads;
    machine.warps = (launch.threads + warp_size - 1) / warp_size;
    machine.schedule = static_cast<Schedule>(launch.schedule);
    machine.random = launch.seed;
    machine.body = body;
    machine.arguments = arguments;
    blockDim = {launch.threads, 1, 1};
    gridDim = {launch.grid[0], launch.grid[1], launch.grid[2]};
    if (!prepare()) return 1;
    const Guard guarded;
    const uint64_t plane = static_cast<uint64_t>(launch.grid[0]) * launch.grid[1];
    const uint64_t all = plane * launch.grid[2];
    const uint64_t count = launch.blocks ? launch.block_count : all;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t block = launch.blocks ? launch.blocks[i] : i;
        if (block >= all) {
            snprintf(machine.error, sizeof machine.error, "the grid has no block %llu",
                     static_cast<unsigned long long>(block));
            return 1;
        }
        blockIdx = {static_cast<unsigned>(block % launch.grid[0]),
                    static_cast<unsigned>(block / launch.grid[0] % launch.grid[1]),
                    static_cast<unsigned>(block / plane)};
        if (!run_block()) return 1;
    }
    return 0;
}

template <typename... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(arguments[I])...);
}

// Arguments as cuLaunchKernel takes them: an array of pointers to each.
template <typename... A> void call(void (*kernel)(A...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>{});
}

}  // namespace cuda_on_cpu

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
    return cuda_on_cpu::exchange(mask, value, (threadIdx.x % 32) ^ static_cast<unsigned>(lanes), file, line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
    const unsigned own = threadIdx.x % 32;
    return cuda_on_cpu::exchange(mask, value, own + lanes < 32 ? own + lanes : own, file, line);
}

// host_NAME(launch, arguments): 0, or 1 and a message in cuda_on_cpu_error().
#define CUDA_ON_CPU_ENTRY(kernel)                                                                       \
    extern "C" __attribute__((visibility("default"))) int host_##kernel(                                \
        const cuda_on_cpu::Launch* launch, void** arguments) {                                          \
        return cuda_on_cpu::run(*launch, [](void** a) { cuda_on_cpu::call(&kernel, a); }, arguments);   \
    }
extern "C" __attribute__((used, visibility("default"))) inline const char* cuda_on_cpu_error() {
    return cuda_on_cpu::machine.error;
}

// The formats of 16 bits, in integer arithmetic: to nearest with ties to even (rn), or toward zero (rz).
struct __nv_bfloat16 {
    uint16_t bits;
};
struct __half {
    uint16_t bits;
};

namespace cuda_on_cpu {

inline uint32_t bits_of(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}
inline float float_of(uint32_t bits) {
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}
inline uint32_t shifted(uint32_t number, unsigned places, bool nearest) {
    const uint32_t rest = number & ((1u << places) - 1), middle = 1u << (places - 1);
    const uint32_t kept = number >> places;
    return kept + (nearest && (rest > middle || (rest == middle && (kept & 1u))));
}
inline __nv_bfloat16 to_bfloat16(float number, bool nearest) {
    const uint32_t bits = bits_of(number);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
    return {static_cast<uint16_t>(shifted(bits, 16, nearest))};
}
inline __half to_half(float number, bool nearest) {
    const uint32_t bits = bits_of(number), magnitude = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t half;
    if (magnitude > 0x7f800000u) return {0x7fff};
    if (magnitude == 0x7f800000u) {
        half = 0x7c00u;
    } else if (magnitude >= 0x477ff000u) {  // 65520, halfway beyond the largest
        half = nearest ? 0x7c00u : 0x7bffu;
    } else if (magnitude >= 0x38800000u) {  // 2^-14, the least normal number
        half = shifted(magnitude - 0x38000000u, 13, nearest);
    } else if (magnitude >= 0x33000000u) {  // 2^-25, half the least subnormal number
        half = shifted((magnitude & 0x7fffffu) | 0x800000u, 126 - (magnitude >> 23), nearest);
    } else {
        half = 0;
    }
    return {static_cast<uint16_t>(sign | half)};
}

}  // namespace cuda_on_cpu

inline float __int_as_float(int bits) { return cuda_on_cpu::float_of(static_cast<uint32_t>(bits)); }
inline float __bfloat162float(__nv_bfloat16 number) {
    return cuda_on_cpu::float_of(static_cast<uint32_t>(number.bits) << 16);
}
inline __nv_bfloat16 __float2bfloat16_rn(float number) { return cuda_on_cpu::to_bfloat16(number, true); }
inline __nv_bfloat16 __float2bfloat16_rz(float number) { return cuda_on_cpu::to_bfloat16(number, false); }
inline __half __float2half_rn(float number) { return cuda_on_cpu::to_half(number, true); }
inline __half __float2half_rz(float number) { return cuda_on_cpu::to_half(number, false); }
inline float __half2float(__half number) {
    const uint32_t sign = (number.bits & 0x8000u) << 16, magnitude = number.bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return cuda_on_cpu::float_of(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x0400u) return cuda_on_cpu::float_of(sign | ((magnitude << 13) + 0x38000000u));
    const float number_of = static_cast<float>(magnitude) * 5.9604644775390625e-8f;  // 2^-24
    return sign ? -number_of : number_of;
}
