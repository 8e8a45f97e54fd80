// One AdamW update of one tensor in a single pass over memory.
//
// Each element goes through the operations of the reference in the reference's order, each rounded by itself (no fused
// multiply-add), the square root correctly: the same bits for any number of threads and any vector width. The reference
// differs in the last bit where torch takes its square root from MKL, which does not round all of them correctly.

#include <cmath>
#include <cstdint>

extern "C" void adamw(float *p, const float *gradient, float *exp_avg, float *exp_avg_sq, const float *by,
                      int64_t count, int threads) {
    const float scale = by[0], beta1 = by[1], rest1 = by[2], beta2 = by[3], rest2 = by[4], root2 = by[5], eps = by[6],
                keep = by[7], rate = by[8];
    constexpr int64_t BLOCK = 8192;  // elements that one thread takes at a time; no result depends on it
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < (count + BLOCK - 1) / BLOCK; ++b) {
        const int64_t end = count < (b + 1) * BLOCK ? count : (b + 1) * BLOCK;
        float *__restrict w = p, *__restrict m = exp_avg, *__restrict v = exp_avg_sq;
        const float *__restrict grad = gradient;
        for (int64_t i = b * BLOCK; i < end; ++i) {
            const float g = grad[i] * scale;
            m[i] = m[i] * beta1 + g * rest1;
            v[i] = v[i] * beta2 + (g * g) * rest2;
            const float size = std::sqrt(v[i]) / root2 + eps;
            w[i] = w[i] * keep - (m[i] / size) * rate;
        }
    }
}
