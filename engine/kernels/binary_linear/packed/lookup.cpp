// Products of fp32 activations with signs: sums of four activations are looked up in a register, 16 rows at a time.
//
// For four neighbouring columns there are 16 signed sums. They stand in one table; a row's four bits are the index. An
// AVX-512 register holds the whole table; AVX2 holds the eight sums in which the fourth sign is plus, and flips the
// sign bit for the others. Every path computes the same thing in the same order, to the bit:
//
//   sum of a group   ((+-a0) + (+-a1)) + ((+-a2) + a3), negated when the fourth sign is minus
//   sum of a word    of 8 groups: ((g0 + g1) + (g2 + g3)) + ((g4 + g5) + (g6 + g7))
//   sum of a row     words from the first to the last, added to zero
//   y                post * row + shift in fp64, rounded once
//
// No order depends on the number of threads or of tokens: threads share out blocks of rows, tokens are computed apart.
// The tile of a matrix: for each block of 16 rows, for each word of 32 columns, 16 words of 32 bits, one a row. Nibble
// g of a word belongs to columns 4g .. 4g+3: bit 3 says that the fourth sign is minus, bits 0 to 2 that the
// first, second and third sign equal the fourth.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <omp.h>
#ifndef PORTABLE
#include <immintrin.h>
#endif

#include "activations.h"

namespace {

constexpr int kRows = 16;     // rows of a tile
constexpr int kWord = 32;     // columns of a word
constexpr int kTable = 16;    // sums in the table of a group
constexpr int kGroups = 8;    // groups of four columns in a word
constexpr int kTokens = 8;    // tokens that share the decoding of a word
constexpr int kCached = 512;  // tables at a time, over all tokens that are computed together: 32 KiB

// The eight signed sums of a group in which the fourth sign is plus, then their negations.
inline void table_of(const float* a, float* table) {
    for (int m = 0; m < 8; ++m) {
        const float first = (m & 1 ? a[0] : -a[0]) + (m & 2 ? a[1] : -a[1]);
        table[m] = first + ((m & 4 ? a[2] : -a[2]) + a[3]);
        table[m + 8] = -table[m];
    }
}

#if defined(__AVX512F__)

inline void tables_of(const float* a, int words, float* tables) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i one = _mm512_set1_epi32(1), top = _mm512_set1_epi32(int(0x80000000));
    const auto minus = [&](int bit) {  // the sign bit where the lane's bit is clear
        return _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_andnot_epi32(_mm512_srli_epi32(lane, bit), one), 31));
    };
    const __m512 s0 = minus(0), s1 = minus(1), s2 = minus(2);
    const __m512 upper = _mm512_castsi512_ps(_mm512_maskz_mov_epi32(0xff00, top));
    for (int g = 0; g < words * kGroups; ++g) {
        const float* p = a + 4 * g;
        const auto signed_by = [](float value, __m512 sign) { return _mm512_xor_ps(_mm512_set1_ps(value), sign); };
        const __m512 first = _mm512_add_ps(signed_by(p[0], s0), signed_by(p[1], s1));
        const __m512 second = _mm512_add_ps(signed_by(p[2], s2), _mm512_set1_ps(p[3]));
        _mm512_store_ps(tables + kTable * g, _mm512_xor_ps(_mm512_add_ps(first, second), upper));
    }
}

template <int N>
void panel(const uint32_t* tile, int64_t next, int words, const float* tables, int64_t stride, float* sums) {
    __m512 acc[N];
    for (int n = 0; n < N; ++n) acc[n] = _mm512_loadu_ps(sums + n * kRows);
    for (int w = 0; w < words; ++w) {
        _mm_prefetch(tile + next + kRows * w, _MM_HINT_T0);
        __m512i index[kGroups];
        index[0] = _mm512_loadu_si512(tile + kRows * w);
        for (int g = 1; g < kGroups; ++g) index[g] = _mm512_srli_epi32(index[0], 4 * g);
        for (int n = 0; n < N; ++n) {
            const float* t = tables + n * stride + kTable * kGroups * w;
            const auto at = [&](int g) { return _mm512_permutexvar_ps(index[g], _mm512_load_ps(t + kTable * g)); };
            const __m512 low = _mm512_add_ps(_mm512_add_ps(at(0), at(1)), _mm512_add_ps(at(2), at(3)));
            const __m512 high = _mm512_add_ps(_mm512_add_ps(at(4), at(5)), _mm512_add_ps(at(6), at(7)));
            acc[n] = _mm512_add_ps(acc[n], _mm512_add_ps(low, high));
        }
    }
    for (int n = 0; n < N; ++n) _mm512_storeu_ps(sums + n * kRows, acc[n]);
}

#else

inline void tables_of(const float* a, int words, float* tables) {
    for (int g = 0; g < words * kGroups; ++g) table_of(a + 4 * g, tables + kTable * g);
}

#if defined(__AVX2__)

// One half of the rows. A table's first eight sums are a register; bit 3 of the index becomes the sign.
template <int N>
inline void half_panel(
    const uint32_t* tile, int64_t next, int words, const float* tables, int64_t stride, float* sums
) {
    const __m256i top = _mm256_set1_epi32(int(0x80000000));
    __m256 acc[N];
    for (int n = 0; n < N; ++n) acc[n] = _mm256_loadu_ps(sums + n * kRows);
    for (int w = 0; w < words; ++w) {
        _mm_prefetch(tile + next + kRows * w, _MM_HINT_T0);
        const __m256i word = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile + kRows * w));
        const float* t = tables + kTable * kGroups * w;
        __m256 part[3][N];
        for (int g = 0; g < kGroups; ++g) {
            const __m256i index = _mm256_srli_epi32(word, 4 * g);
            const __m256 sign = _mm256_castsi256_ps(_mm256_and_si256(_mm256_slli_epi32(word, 28 - 4 * g), top));
            for (int n = 0; n < N; ++n) {
                __m256 sum = _mm256_permutevar8x32_ps(_mm256_load_ps(t + n * stride + kTable * g), index);
                sum = _mm256_xor_ps(sum, sign);
                int depth = 0;
                for (; g >> depth & 1; ++depth)  // a tree, as a counter carries
                    sum = _mm256_add_ps(part[depth][n], sum);
                if (depth < 3) part[depth][n] = sum;
                else acc[n] = _mm256_add_ps(acc[n], sum);
            }
        }
    }
    for (int n = 0; n < N; ++n) _mm256_storeu_ps(sums + n * kRows, acc[n]);
}

template <int N>
void panel(const uint32_t* tile, int64_t next, int words, const float* tables, int64_t stride, float* sums) {
    half_panel<N>(tile, next, words, tables, stride, sums);
    half_panel<N>(tile + 8, next, words, tables, stride, sums + 8);
}

#else

template <int N>
void panel(const uint32_t* tile, int64_t, int words, const float* tables, int64_t stride, float* sums) {
    for (int w = 0; w < words; ++w)
        for (int n = 0; n < N; ++n)
            for (int r = 0; r < kRows; ++r) {
                const uint32_t word = tile[kRows * w + r];
                const float* t = tables + n * stride + kTable * kGroups * w;
                const auto at = [&](int g) { return t[kTable * g + (word >> 4 * g & 15)]; };
                const float low = (at(0) + at(1)) + (at(2) + at(3)), high = (at(4) + at(5)) + (at(6) + at(7));
                sums[n * kRows + r] += low + high;
            }
}

#endif
#endif

// Some tokens (at most kTokens) times the blocks of rows begin .. end of a thread.
struct Work {
    const uint32_t* tile;
    const float* folded;  // [tokens, words * 32]
    const float* post;    // [outputs], or null for one
    const float* weights; // [outputs] that multiply the token's shift, or null for one
    const double* shift;  // [tokens]
    float* y;             // [tokens, outputs]
    int64_t outputs;
    int words;
};

template <int N>
void some_tokens(const Work& work, int64_t begin, int64_t end, float* tables, float* sums) {
    const int step = std::min(kCached / N / kGroups, work.words);
    std::fill(sums, sums + (end - begin) * N * kRows, 0.0f);
    for (int from = 0; from < work.words; from += step) {
        const int words = std::min(step, work.words - from);
        const int64_t stride = int64_t(step) * kGroups * kTable;
        for (int n = 0; n < N; ++n)
            tables_of(work.folded + (int64_t(n) * work.words + from) * kWord, words, tables + n * stride);
        const int64_t next = int64_t(work.words) * kRows;  // from a block of rows to the next, which is fetched early
        for (int64_t b = begin; b < end; ++b) {
            const uint32_t* tile = work.tile + (b * work.words + from) * kRows;
            panel<N>(tile, next, words, tables, stride, sums + (b - begin) * N * kRows);
        }
    }
    for (int64_t b = begin; b < end; ++b)
        for (int n = 0; n < N; ++n)
            for (int64_t i = b * kRows; i < std::min((b + 1) * kRows, work.outputs); ++i) {
                const double sum = sums[((b - begin) * N + n) * kRows + i - b * kRows];
                const double scaled = work.post ? double(work.post[i]) * sum : sum;
                const double shift = work.weights ? double(work.weights[i]) * work.shift[n] : work.shift[n];
                work.y[n * work.outputs + i] = float(scaled + shift);
            }
}

void all_tokens(Work work, int64_t tokens, int64_t begin, int64_t end) {
    const auto aligned = [](size_t floats) {
        return static_cast<float*>(::operator new(floats * sizeof(float), std::align_val_t(64)));
    };
    const auto release = [](float* p) { ::operator delete(p, std::align_val_t(64)); };
    std::unique_ptr<float, decltype(release)> tables(aligned(kCached * kTable), release);
    std::unique_ptr<float, decltype(release)> sums(aligned((end - begin) * kTokens * kRows), release);
    while (tokens > 0) {
        const int n = tokens >= 8 ? 8 : tokens >= 4 ? 4 : tokens >= 2 ? 2 : 1;
        (n == 8 ? some_tokens<8> : n == 4 ? some_tokens<4> : n == 2 ? some_tokens<2> : some_tokens<1>)(
            work, begin, end, tables.get(), sums.get());
        work.folded += int64_t(n) * work.words * kWord;
        work.shift += n;
        work.y += n * work.outputs;
        tokens -= n;
    }
}

}  // namespace

extern "C" {

// Row-major bits [outputs, (inputs + 7) / 8] to the tile; rows and columns beyond the matrix count as minus.
void lookup_tile(const uint8_t* bits, int64_t outputs, int64_t inputs, uint32_t* tile) {
    const int64_t words = (inputs + kWord - 1) / kWord, row_bytes = (inputs + 7) / 8;
    for (int64_t b = 0; b < (outputs + kRows - 1) / kRows; ++b)
        for (int64_t w = 0; w < words; ++w)
            for (int r = 0; r < kRows; ++r) {
                uint32_t word = 0;
                const int64_t row = b * kRows + r;
                for (int64_t c = 0; c < 4 && row < outputs && 4 * w + c < row_bytes; ++c)
                    word |= uint32_t(bits[row * row_bytes + 4 * w + c]) << 8 * c;
                const uint32_t minus = ~word & 0x88888888u;                         // the fourth sign is minus
                const uint32_t flip = (minus >> 3) | (minus >> 2) | (minus >> 1);    // then the first three flip
                tile[(b * words + w) * kRows + r] = ((word ^ flip) & 0x77777777u) | minus;
            }
}

// y = post * (signs . x * alpha) + weights * shift for every token; the arguments are described in __init__.py.
// Returns 0, or 1 + the first token with an activation that is not finite.
int64_t lookup_linear(
    const float* x, int64_t tokens, const uint32_t* tile, int64_t outputs, int64_t inputs, const float* alpha,
    int64_t alphas, const float* beta, int64_t betas, const float* post, const float* weights, float* y, int threads
) {
    const int64_t words = (inputs + kWord - 1) / kWord, width = words * kWord;
    std::unique_ptr<float[]> folded(new float[tokens * width]);
    std::unique_ptr<double[]> shift(new double[tokens]);
    for (int64_t n = 0; n < tokens; ++n) {
        const float* row = x + n * inputs;
        float* to = folded.get() + n * width;
        fold(row, inputs, alpha, alphas, to);
        std::fill(to + inputs, to + width, 0.0f);
        shift[n] = weighted_sum(row, inputs, beta, betas);
        if (largest_bits(to, inputs) >= kInfinite || !std::isfinite(shift[n])) return 1 + n;
    }
    const Work work{tile, folded.get(), post, weights, shift.get(), y, outputs, int(words)};
    const int64_t blocks = (outputs + kRows - 1) / kRows;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const int64_t share = (blocks + omp_get_num_threads() - 1) / omp_get_num_threads();
        const int64_t begin = std::min(blocks, share * omp_get_thread_num());
        all_tokens(work, tokens, begin, std::min(blocks, begin + share));
    }
    return 0;
}
}
