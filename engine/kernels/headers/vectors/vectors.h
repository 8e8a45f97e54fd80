// W floats side by side, as wide as the registers of the build, and their exponential: the same bits in every build.

#pragma once

#include <cstdint>

#if defined(PORTABLE)
constexpr int W = 4;
#elif defined(__AVX512F__)
constexpr int W = 16;
#else
constexpr int W = 8;
#endif

typedef float V __attribute__((vector_size(4 * W)));
typedef float VU __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(4 * W)));

static inline V load(const float* p) { return *(const VU*)p; }
static inline void store(float* p, V v) { *(VU*)p = v; }
static inline V all(float x) { return x - (V){}; }

// exp within two units in the last place, for arguments in [-87, 88], clamped outside; NaN stays NaN.
static inline V exp(V x) {
    x = x < -87.0f ? all(-87.0f) : x;
    x = x > 88.0f ? all(88.0f) : x;
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding and subtracting it rounds to an integer
    V n = (x * 1.44269504f + magic) - magic;
    V r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln 2 in two parts, the first with 9 bits
    V p = all(1.0f / 5040);  // Taylor: |r| <= 0.347, so the first term left out is below 2^-27
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    I e = (__builtin_convertvector(n, I) + 127) << 23;
    return p * (V)e;
}
