// Products of int8 activations with bits: exact sums in int32, so every instruction set gives the same bits.
//
// Each token's folded activation a = alpha * x is rounded to q = round(a * 127 / max |a|), halves to even. For bits b
// in {0, 1} the sum over signs is 2 * sum of b q - sum of q. Rows of bits are used as they are packed (row-major,
// column j in bit j mod 8 of byte j / 8), each padded with zeros to whole blocks of 64 bytes. To meet them, the
// activations of a block of 512 columns are turned: column 8c + k stands at 64k + c, so that bit plane k of 64 bytes
// meets 64 neighbours.
//
//   AVX-512 with VNNI   64 products an instruction; bit planes 0 to 3 are used unshifted and their sums divided by 2^k
//   AVX2                32 products by maddubs, added in int16 for at most 8 blocks, then in int32
//   y                   post * (step * integer) + shift in fp64, rounded once; step = max |a| / 127

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <omp.h>
#ifndef PORTABLE
#include <immintrin.h>
#endif

#include "activations.h"

namespace {

constexpr int kBytes = 64;           // of a block of a row
constexpr int kBlock = 8 * kBytes;   // its columns
constexpr int kShare = 64;           // rows whose sums are written at once

// A kernel: the sums of b q for some rows (`stride` bytes apart) and some tokens (`blocks` blocks of q apart).
using Sums = void (*)(const uint8_t* rows, int64_t stride, const int8_t* q, int64_t blocks, int32_t* sums);

template <int R, int N>
void portable(const uint8_t* rows, int64_t stride, const int8_t* q, int64_t blocks, int32_t* sums) {
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) {
            int32_t sum = 0;
            for (int64_t b = 0; b < blocks; ++b)
                for (int k = 0; k < 8; ++k)
                    for (int c = 0; c < kBytes; ++c)
                        sum += (rows[r * stride + b * kBytes + c] >> k & 1) *
                               q[(n * blocks + b) * kBlock + k * kBytes + c];
            sums[r * N + n] = sum;
        }
}

#ifdef __AVX2__

inline int32_t total(__m256i x) {
    const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i pair = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32(pair, 0xb1)));
}

template <int R, int N>
void avx2(const uint8_t* rows, int64_t stride, const int8_t* q, int64_t blocks, int32_t* sums) {
    const __m256i one = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    __m256i wide[R][N];
    for (int r = 0; r < R; ++r) for (int n = 0; n < N; ++n) wide[r][n] = _mm256_setzero_si256();
    for (int64_t from = 0; from < blocks; from += 8) {  // 8 blocks x 16 additions of at most 2 x 127 fit int16
        __m256i narrow[R][N];
        for (int r = 0; r < R; ++r) for (int n = 0; n < N; ++n) narrow[r][n] = _mm256_setzero_si256();
        for (int64_t h = 2 * from; h < 2 * std::min(from + 8, blocks); ++h) {
            __m256i v[R];
            for (int r = 0; r < R; ++r)
                v[r] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows + r * stride + 32 * h));
#pragma GCC unroll 8
            for (int k = 0; k < 8; ++k) {
                __m256i b[R];
                for (int r = 0; r < R; ++r) b[r] = _mm256_and_si256(_mm256_srli_epi16(v[r], k), one);
                for (int n = 0; n < N; ++n) {
                    const int8_t* at = q + (n * blocks + (h >> 1)) * kBlock + k * kBytes + 32 * (h & 1);
                    const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
                    for (int r = 0; r < R; ++r)
                        narrow[r][n] = _mm256_add_epi16(narrow[r][n], _mm256_maddubs_epi16(b[r], some));
                }
            }
        }
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n)
                wide[r][n] = _mm256_add_epi32(wide[r][n], _mm256_madd_epi16(narrow[r][n], ones));
    }
    for (int r = 0; r < R; ++r) for (int n = 0; n < N; ++n) sums[r * N + n] = total(wide[r][n]);
}

#endif
#ifdef __AVX512BW__
#pragma GCC push_options
#pragma GCC target("avx512vnni")

// One token: planes 0 to 3 of both nibbles, unshifted; the sum of plane k is 2^k times too large, exactly.
template <int R, int N>
void vnni(const uint8_t* rows, int64_t stride, const int8_t* q, int64_t blocks, int32_t* sums) {
    static_assert(N == 1);
    __m512i acc[R][4];
    for (int r = 0; r < R; ++r) for (int k = 0; k < 4; ++k) acc[r][k] = _mm512_setzero_si512();
    for (int64_t b = 0; b < blocks; ++b)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            _mm_prefetch(rows + (R + r) * stride + b * kBytes, _MM_HINT_T0);
            const __m512i low = _mm512_loadu_si512(rows + r * stride + b * kBytes), high = _mm512_srli_epi16(low, 4);
#pragma GCC unroll 8
            for (int k = 0; k < 4; ++k) {
                const __m512i plane = _mm512_set1_epi8(char(1 << k));
                const int8_t* at = q + b * kBlock + k * kBytes;
                acc[r][k] = _mm512_dpbusd_epi32(acc[r][k], _mm512_and_si512(low, plane), _mm512_loadu_si512(at));
                acc[r][k] = _mm512_dpbusd_epi32(
                    acc[r][k], _mm512_and_si512(high, plane), _mm512_loadu_si512(at + 4 * kBytes));
            }
        }
    for (int r = 0; r < R; ++r) {
        const __m512i even = _mm512_add_epi32(acc[r][0], _mm512_srai_epi32(acc[r][2], 2));
        const __m512i odd = _mm512_add_epi32(_mm512_srai_epi32(acc[r][1], 1), _mm512_srai_epi32(acc[r][3], 3));
        sums[r] = _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
    }
}

// Several tokens share the planes of two rows.
template <int R, int N>
void vnni_many(const uint8_t* rows, int64_t stride, const int8_t* q, int64_t blocks, int32_t* sums) {
    const __m512i one = _mm512_set1_epi8(1);
    __m512i acc[R][N];
    for (int r = 0; r < R; ++r) for (int n = 0; n < N; ++n) acc[r][n] = _mm512_setzero_si512();
    for (int64_t b = 0; b < blocks; ++b) {
        __m512i bits[R];
        for (int r = 0; r < R; ++r) bits[r] = _mm512_loadu_si512(rows + r * stride + b * kBytes);
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) {
            __m512i plane[R];
            for (int r = 0; r < R; ++r) plane[r] = _mm512_and_si512(_mm512_srli_epi16(bits[r], k), one);
#pragma GCC unroll 8
            for (int n = 0; n < N; ++n) {
                const __m512i some = _mm512_loadu_si512(q + (n * blocks + b) * kBlock + k * kBytes);
                for (int r = 0; r < R; ++r) acc[r][n] = _mm512_dpbusd_epi32(acc[r][n], plane[r], some);
            }
        }
    }
    for (int r = 0; r < R; ++r) for (int n = 0; n < N; ++n) sums[r * N + n] = _mm512_reduce_add_epi32(acc[r][n]);
}

#pragma GCC pop_options
#endif

// A kernel for so many tokens at a time: for some rows at a time, and for the rows that are left. A machine has three,
// the one for most tokens first.
struct Kernel {
    int tokens, rows;
    Sums many, one;
};

#if defined(__AVX512BW__)
const Kernel kVnni[] = {
    {8, 2, vnni_many<2, 8>, vnni_many<1, 8>},
    {4, 4, vnni_many<4, 4>, vnni_many<1, 4>},
    {1, 4, vnni<4, 1>, vnni<1, 1>},
};
#endif
#if defined(__AVX2__)
const Kernel kPlain[] = {
    {4, 2, avx2<2, 4>, avx2<1, 4>},
    {4, 2, avx2<2, 4>, avx2<1, 4>},
    {1, 4, avx2<4, 1>, avx2<1, 1>},
};
#else
const Kernel kPlain[] = {
    {4, 1, portable<1, 4>, portable<1, 4>},
    {4, 1, portable<1, 4>, portable<1, 4>},
    {1, 1, portable<1, 1>, portable<1, 1>},
};
#endif

const Kernel* kernels() {
#if defined(__AVX512BW__)
    if (__builtin_cpu_supports("avx512vnni")) return kVnni;
#endif
    return kPlain;
}

// alpha folded in, rounded, turned to the order of the bits; the step, or -1 when something is not finite.
double quantise(
    const float* x, int64_t inputs, const float* alpha, int64_t alphas, float* a, int8_t* q, int32_t* total
) {
    fold(x, inputs, alpha, alphas, a);
    const uint32_t most = largest_bits(a, inputs);
    if (most >= kInfinite) return -1;
    float largest;
    std::memcpy(&largest, &most, 4);
    const double inverse = largest > 0 ? 127.0 / double(largest) : 0.0;
    constexpr double kHalvesToEven = 6755399441055744.0;  // 1.5 * 2^52: adding and subtracting it rounds
    int32_t sum = 0;
    for (int64_t block = 0; block < inputs; block += kBlock) {
        const int64_t columns = std::min<int64_t>(kBlock, inputs - block);
        int8_t line[kBlock] = {0};
        for (int64_t j = 0; j < columns; ++j)
            line[j] = int8_t(int32_t((double(a[block + j]) * inverse + kHalvesToEven) - kHalvesToEven));
        for (int j = 0; j < kBlock; ++j) sum += line[j];
        for (int k = 0; k < 8; ++k)
            for (int c = 0; c < kBytes; ++c) q[block + k * kBytes + c] = line[8 * c + k];
    }
    *total = sum;
    return double(largest) / 127.0;
}

struct Work {
    const uint8_t* rows;
    const int8_t* q;      // [tokens, blocks * 512], turned
    const int32_t* totals;
    const double *steps, *shift;  // [tokens]
    const float *post, *weights;  // [outputs], or null for one
    float* y;                     // [tokens, outputs]
    int64_t outputs, blocks;
};

// The sums of some rows and tokens, [tokens, rows], to y.
void write(const Work& work, int64_t row, int rows, int64_t token, int tokens, const int32_t* sums) {
    for (int n = 0; n < tokens; ++n, sums += kShare) {
        const double step = work.steps[token + n], shift = work.shift[token + n];
        const int32_t total = work.totals[token + n];
        float* y = work.y + (token + n) * work.outputs + row;
        if (work.post)
            for (int r = 0; r < rows; ++r)
                y[r] = float(double(work.post[row + r]) * (step * double(2 * sums[r] - total)) +
                             double(work.weights[row + r]) * shift);
        else
            for (int r = 0; r < rows; ++r) y[r] = float(step * double(2 * sums[r] - total) + shift);
    }
}

void some_tokens(const Work& work, const Kernel& kernel, int64_t token, int64_t begin, int64_t end) {
    const int64_t stride = work.blocks * kBytes;
    const int8_t* q = work.q + token * work.blocks * kBlock;
    int32_t found[16], sums[8 * kShare];
    for (int64_t from = begin; from < end; from += kShare) {
        const int share = int(std::min<int64_t>(kShare, end - from));
        for (int row = 0; row < share;) {
            const int rows = row + kernel.rows <= share ? kernel.rows : 1;
            (rows > 1 ? kernel.many : kernel.one)(work.rows + (from + row) * stride, stride, q, work.blocks, found);
            for (int r = 0; r < rows; ++r)
                for (int n = 0; n < kernel.tokens; ++n) sums[n * kShare + row + r] = found[r * kernel.tokens + n];
            row += rows;
        }
        write(work, from, share, token, kernel.tokens, sums);
    }
}

}  // namespace

extern "C" {

// Whether products go through AVX-512-VNNI here; the results are the same without.
int int8_vnni() {
#if defined(__AVX512BW__)
    return __builtin_cpu_supports("avx512vnni") != 0;
#else
    return 0;
#endif
}

// y = post * (signs . q * step) + weights * shift for every token; the arguments are described in __init__.py.
// Returns 0, or 1 + the first token with an activation that is not finite.
int64_t int8_linear(
    const float* x, int64_t tokens, const uint8_t* rows, int64_t outputs, int64_t inputs, const float* alpha,
    int64_t alphas, const float* beta, int64_t betas, const float* post, const float* weights, float* y, int threads
) {
    const int64_t blocks = (inputs + kBlock - 1) / kBlock;
    std::unique_ptr<int8_t[]> q(new int8_t[tokens * blocks * kBlock]());
    std::unique_ptr<float[]> folded(new float[inputs]);
    std::unique_ptr<int32_t[]> totals(new int32_t[tokens]);
    std::unique_ptr<double[]> steps(new double[tokens]), shift(new double[tokens]);
    for (int64_t n = 0; n < tokens; ++n) {
        const float* row = x + n * inputs;
        steps[n] = quantise(row, inputs, alpha, alphas, folded.get(), q.get() + n * blocks * kBlock, totals.get() + n);
        shift[n] = weighted_sum(row, inputs, beta, betas);
        if (steps[n] < 0 || !std::isfinite(shift[n])) return 1 + n;
    }
    const Work work{rows, q.get(), totals.get(), steps.get(), shift.get(), post, weights, y, outputs, blocks};
    const Kernel* found = kernels();
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const int64_t share = (outputs + omp_get_num_threads() - 1) / omp_get_num_threads();
        const int64_t begin = std::min(outputs, share * omp_get_thread_num()), end = std::min(outputs, begin + share);
        for (int64_t token = 0; token < tokens;) {
            const int64_t left = tokens - token;
            const Kernel& kernel = found[left >= found[0].tokens ? 0 : left >= found[1].tokens ? 1 : 2];
            some_tokens(work, kernel, token, begin, end);
            token += kernel.tokens;
        }
    }
    return 0;
}
}
