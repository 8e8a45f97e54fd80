// What both packed products do with a token before they meet the bits: alpha folded in, beta's sum, the largest.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

constexpr uint32_t kInfinite = 0x7f800000u;  // the bits of infinity; those of a finite number without sign are below

// What alpha makes of an activation: one factor a column, one for all, or none.
static inline void fold(const float* x, int64_t inputs, const float* alpha, int64_t alphas, float* to) {
    if (alphas > 1) for (int64_t j = 0; j < inputs; ++j) to[j] = x[j] * alpha[j];
    else for (int64_t j = 0; j < inputs; ++j) to[j] = alphas ? x[j] * alpha[0] : x[j];
}

// The bits of the largest magnitude; kInfinite or more where something is not finite.
static inline uint32_t largest_bits(const float* a, int64_t count) {
    uint32_t most = 0;
    for (int64_t j = 0; j < count; ++j) {
        uint32_t bits;
        std::memcpy(&bits, a + j, 4);
        most = std::max(most, bits & 0x7fffffffu);
    }
    return most;
}

// beta . x in fp64: column j is added in lane j mod 8, the lanes by a tree.
static inline double weighted_sum(const float* x, int64_t inputs, const float* beta, int64_t betas) {
    double lanes[8] = {0};
    const int64_t whole = inputs & ~int64_t(7);
    const double one = betas ? double(beta[0]) : 1.0;
    for (int64_t j = 0; j < whole; j += 8)
        if (betas > 1) for (int lane = 0; lane < 8; ++lane) lanes[lane] += double(x[j + lane]) * double(beta[j + lane]);
        else for (int lane = 0; lane < 8; ++lane) lanes[lane] += double(x[j + lane]) * one;
    for (int64_t j = whole; j < inputs; ++j) lanes[j & 7] += double(x[j]) * (betas > 1 ? double(beta[j]) : one);
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}
