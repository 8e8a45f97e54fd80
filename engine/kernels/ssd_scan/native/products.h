// Small products, decays and sums of one thread, vectors along outputs only (scan.cpp says the order of sums).

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "vectors.h"

#if defined(PORTABLE)
constexpr int R = 4;
#elif defined(__AVX512F__)
#include <immintrin.h>
constexpr int R = 12;
#else
#include <immintrin.h>
constexpr int R = 6;
#endif

constexpr int64_t WIDE = 32;   // local rows are padded with zeros to a multiple of this many floats
constexpr int64_t SKEW = 16;   // and lie this much apart besides, so that they do not share cache sets

static inline V fma(V a, V b, V c) {
#if defined(PORTABLE)
    return a * b + c;
#elif defined(__AVX512F__)
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
}

// What decay leaves. Below exp(-64) nothing: products of such a rest are lost in sums of ordinary numbers, and they
// would be denormal, which costs a hundred times as much.
static inline V remains(V x) { return x < -64.0f ? all(0.0f) : exp(x); }

static inline float remains1(float x) { return remains(all(x))[0]; }

static inline int64_t padded(int64_t n) { return (n + WIDE - 1) / WIDE * WIDE; }

// A matrix of this thread: rows of `width` floats that count, zeros behind them.
struct Local {
    int64_t ld;
    std::vector<float> data;
    Local(int64_t rows, int64_t width) : ld(padded(width) + SKEW), data(rows * ld, 0.0f) {}
    float* row(int64_t i) { return data.data() + i * ld; }
};

// c[i][j] (+)= sum over k of a[i * ai + k * ak] * b[k * ldb + j], for ROWS rows and 2 * W columns.
template <int ROWS>
static inline void tile(int64_t k, const float* a, int64_t ai, int64_t ak, const float* b, int64_t ldb, float* c,
                        int64_t ldc, bool add) {
    V sum[ROWS][2];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < 2; v++) sum[r][v] = add ? load(c + r * ldc + v * W) : all(0.0f);
    for (int64_t i = 0; i < k; i++) {
        V b0 = load(b + i * ldb), b1 = load(b + i * ldb + W);
        for (int r = 0; r < ROWS; r++) {
            V one = all(a[r * ai + i * ak]);
            sum[r][0] = fma(one, b0, sum[r][0]);
            sum[r][1] = fma(one, b1, sum[r][1]);
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < 2; v++) store(c + r * ldc + v * W, sum[r][v]);
}

template <int ROWS>
static inline void rest(int64_t m, int64_t k, const float* a, int64_t ai, int64_t ak, const float* b, int64_t ldb,
                        float* c, int64_t ldc, bool add) {
    if constexpr (ROWS > 0) {
        if (m == ROWS)
            tile<ROWS>(k, a, ai, ak, b, ldb, c, ldc, add);
        else
            rest<ROWS - 1>(m, k, a, ai, ak, b, ldb, c, ldc, add);
    }
}

enum Shape { FULL, LOWER_A, UPPER_A, LOWER_C };  // which part of a square matrix is not zero, or is wanted

// The product of m rows, n columns (rounded up to the padding) and k terms.
static void product(int64_t m, int64_t n, int64_t k, const float* a, int64_t ai, int64_t ak, const float* b,
                    int64_t ldb, float* c, int64_t ldc, bool add, Shape shape = FULL) {
    for (int64_t j = 0; j < n; j += 2 * W)
        for (int64_t i = 0; i < m; i += R) {
            int64_t rows = m - i < R ? m - i : R;
            if (shape == LOWER_C && j > i + rows - 1) continue;
            int64_t from = shape == UPPER_A ? i : 0;
            int64_t to = shape == LOWER_A && i + rows < k ? i + rows : k;
            const float* ap = a + i * ai + from * ak;
            const float* bp = b + from * ldb + j;
            if (rows == R)
                tile<R>(to - from, ap, ai, ak, bp, ldb, c + i * ldc + j, ldc, add);
            else
                rest<R - 1>(rows, to - from, ap, ai, ak, bp, ldb, c + i * ldc + j, ldc, add);
        }
}

static inline void scale(float* row, int64_t n, float by) {
    for (int64_t j = 0; j < n; j += W) store(row + j, load(row + j) * by);
}

// The sum of products of two padded rows: 16 running sums, then halved to one, in fp32.
static inline float dot(const float* a, const float* b, int64_t n) {
    V sum[16 / W] = {};
    for (int64_t j = 0; j < n; j += 16)
        for (int v = 0; v < 16 / W; v++) sum[v] += load(a + j + v * W) * load(b + j + v * W);
    float s[16];
    for (int v = 0; v < 16 / W; v++) store(s + v * W, sum[v]);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

static void transpose(const float* from, int64_t ld_from, int64_t rows, int64_t columns, float* to, int64_t ld_to) {
    for (int64_t i0 = 0; i0 < rows; i0 += 8)
        for (int64_t j = 0; j < columns; j++)
            for (int64_t i = i0; i < i0 + 8 && i < rows; i++) to[j * ld_to + i] = from[i * ld_from + j];
}
