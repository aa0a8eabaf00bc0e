// KL(policy||reference) of rows of logits and its gradient by the policy's, float64: two passes over a row.
// Sums may be added in another order, and exp is the C library's for vectors (4 ulp): logits have to be finite. No
// -ffast-math: a library that is linked with it sets the processor to flush subnormal numbers, for everybody.

#include <cmath>
#include <cstddef>

// as <cmath> declares it under -ffast-math alone: there is a version for vectors
extern "C" __attribute__((simd("notinbranch"))) double exp(double) noexcept;

static const std::ptrdiff_t BLOCK = 1024;  // sums of a block are added up: shorter chains, less rounding

static double greatest(const double* row, std::ptrdiff_t columns) {
    double top = row[0];
    for (std::ptrdiff_t i = 0; i < columns; ++i) top = row[i] > top ? row[i] : top;
    return top;
}

extern "C" void reverse_kl_rows(const double* policy, const double* reference, double* gradient, double* value,
                                std::ptrdiff_t rows, std::ptrdiff_t columns) {
    for (std::ptrdiff_t row = 0; row < rows; ++row) {
        const double* x = policy + row * columns;
        const double* y = reference + row * columns;
        double* g = gradient + row * columns;
        const double top = greatest(x, columns), other_top = greatest(y, columns);
        double total = 0, other_total = 0, moment = 0;
        for (std::ptrdiff_t first = 0; first < columns; first += BLOCK) {
            const std::ptrdiff_t last = first + BLOCK < columns ? first + BLOCK : columns;
            double sum = 0, other_sum = 0, product = 0;
            for (std::ptrdiff_t i = first; i < last; ++i) {
                const double weight = exp(x[i] - top);
                g[i] = weight;
                sum += weight;
                product += weight * (x[i] - y[i]);
                other_sum += exp(y[i] - other_top);
            }
            total += sum;
            other_total += other_sum;
            moment += product;
        }
        const double mean = moment / total, scale = 1 / total;
        for (std::ptrdiff_t i = 0; i < columns; ++i) g[i] *= (x[i] - y[i] - mean) * scale;
        value[row] = mean - (top - other_top) - std::log(total / other_total);
    }
}
