// Rotary positions: the first half of each head's channels turns against the second, in one pass.
//
// Every output is a * c - b * s or b * c + a * s, in fp32, each operation rounded by itself (no fused multiply-add): the
// bits are those of the reference, for any number of threads and any vector width. bfloat16 is widened, computed in
// fp32 and rounded once, to the nearest and ties to even.

#include <cstdint>

#include "bfloat16.h"

namespace {

// Strides are in elements; channels lie side by side. sign is +1 forward, -1 backward (the other way round).
template <class T>
void turn(const T *x, const float *cos, const float *sin, T *y, const int64_t *size, const int64_t *from,
          const int64_t *to, float sign, int threads) {
    const int64_t B = size[0], H = size[1], L = size[2], J = size[3] / 2;
#pragma omp parallel for num_threads(threads) collapse(2) schedule(static)
    for (int64_t b = 0; b < B; ++b)
        for (int64_t t = 0; t < L; ++t) {
            const float *__restrict c = cos + t * J, *__restrict s = sin + t * J;
            for (int64_t h = 0; h < H; ++h) {
                const T *__restrict in = x + b * from[0] + h * from[1] + t * from[2];
                T *__restrict out = y + b * to[0] + h * to[1] + t * to[2];
                for (int64_t j = 0; j < J; ++j) {
                    const float p = widen(in[j]), q = widen(in[j + J]), turned = s[j] * sign;
                    store(out + j, p * c[j] - q * turned);
                    store(out + j + J, q * c[j] + p * turned);
                }
            }
        }
}

}  // namespace

extern "C" {

void rotary_float(const float *x, const float *cos, const float *sin, float *y, const int64_t *size,
                  const int64_t *from, const int64_t *to, float sign, int threads) {
    turn(x, cos, sin, y, size, from, to, sign, threads);
}

void rotary_bfloat16(const uint16_t *x, const float *cos, const float *sin, uint16_t *y, const int64_t *size,
                     const int64_t *from, const int64_t *to, float sign, int threads) {
    turn(x, cos, sin, y, size, from, to, sign, threads);
}
}
