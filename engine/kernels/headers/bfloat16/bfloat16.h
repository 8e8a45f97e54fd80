// Elements in fp32 or bfloat16: widened to fp32, and rounded once, to the nearest and ties to even. NaN stays NaN.

#pragma once

#include <cstdint>
#include <cstring>

static inline float widen(float x) { return x; }
static inline float widen(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float y;
    std::memcpy(&y, &bits, 4);
    return y;
}
static inline void store(float *to, float x) { *to = x; }
static inline void store(uint16_t *to, float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    *to = static_cast<uint16_t>(x != x ? 0x7fc0u : rounded);
}
