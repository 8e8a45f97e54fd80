// RMSNorm and LayerNorm, forward and backward, over the rows of a contiguous fp32 matrix [rows, width].
//
// Order of accumulation: a sum over a row keeps 32 lanes, lane l adding the elements l, l + 32, ... from left to right;
// the lanes are then added in halves (l and l + 16, then l and l + 8, ... ). A sum over rows (gradients of weight and
// bias) adds the rows of each block of 64 from the first to the last, then the blocks from the first to the last.
// Neither depends on the number of threads nor on the width of a vector register: no fused multiply-add, so that AVX2,
// AVX-512 and portable builds give the same bits.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int64_t LANES = 32, BLOCK = 64;

inline float fold(float *lane) {
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t l = 0; l < half; ++l) lane[l] += lane[l + half];
    return lane[0];
}

// The sum of term(i) for i below width.
template <class Term>
inline float row_sum(int64_t width, Term term) {
    float lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES)
        for (int64_t l = 0; l < LANES; ++l) lane[l] += term(i + l);
    for (int64_t l = 0; i + l < width; ++l) lane[l] += term(i + l);
    return fold(lane);
}

inline int64_t blocks_of(int64_t rows) { return (rows + BLOCK - 1) / BLOCK; }

// Runs row(r, partial) for every row in its block, then adds up the partial sums [blocks, sums].
template <class Row>
void over_blocks(int64_t rows, int64_t sums, float *partial, float *total, int threads, Row row) {
    const int64_t blocks = blocks_of(rows);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < blocks; ++b) {
        float *own = partial + b * sums;
        std::memset(own, 0, sums * sizeof(float));
        for (int64_t r = b * BLOCK; r < rows && r < (b + 1) * BLOCK; ++r) row(r, own);
    }
    std::memset(total, 0, sums * sizeof(float));
    for (int64_t b = 0; b < blocks; ++b)
        for (int64_t i = 0; i < sums; ++i) total[i] += partial[b * sums + i];
}

}  // namespace

extern "C" {

int64_t norm_blocks(int64_t rows) { return blocks_of(rows); }

// y = w * (x * s), s = 1 / sqrt(mean(x^2) + eps) [rows].
void rms_forward(const float *x, const float *w, float eps, float *y, float *s, int64_t rows, int64_t width,
                 int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; ++r) {
        const float *__restrict xr = x + r * width;
        float *__restrict yr = y + r * width;
        const float sum = row_sum(width, [&](int64_t i) { return xr[i] * xr[i]; });
        const float scale = 1.0f / std::sqrt(sum / static_cast<float>(width) + eps);
        s[r] = scale;
        for (int64_t i = 0; i < width; ++i) yr[i] = w[i] * (xr[i] * scale);
    }
}

// gx = s * (g w - (x s) * mean(g w x s)), gw = sum over rows of g x s.
void rms_backward(const float *g, const float *x, const float *w, const float *s, float *gx, float *partial, float *gw,
                  int64_t rows, int64_t width, int threads) {
    over_blocks(rows, width, partial, gw, threads, [&](int64_t r, float *__restrict own) {
        const float *__restrict gr = g + r * width, *__restrict xr = x + r * width;
        float *__restrict out = gx + r * width;
        const float scale = s[r];
        const float sum = row_sum(width, [&](int64_t i) { return gr[i] * w[i] * xr[i]; });
        const float mean = sum * scale / static_cast<float>(width);
        for (int64_t i = 0; i < width; ++i) {
            const float unit = xr[i] * scale;
            own[i] += gr[i] * unit;
            out[i] = scale * (gr[i] * w[i] - unit * mean);
        }
    });
}

// y = w * ((x - m) * s) + b, s = 1 / sqrt(mean((x - m)^2) + eps); mean and scale [rows].
void layer_forward(const float *x, const float *w, const float *b, float eps, float *y, float *m, float *s,
                   int64_t rows, int64_t width, int threads) {
    const float size = static_cast<float>(width);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; ++r) {
        const float *__restrict xr = x + r * width;
        float *__restrict yr = y + r * width;
        const float mean = row_sum(width, [&](int64_t i) { return xr[i]; }) / size;
        const float sum = row_sum(width, [&](int64_t i) { return (xr[i] - mean) * (xr[i] - mean); });
        const float scale = 1.0f / std::sqrt(sum / size + eps);
        m[r] = mean;
        s[r] = scale;
        for (int64_t i = 0; i < width; ++i) yr[i] = w[i] * ((xr[i] - mean) * scale) + b[i];
    }
}

// With u = (x - m) s and h = g w: gx = s * (h - mean(h) - u mean(h u)); gwb holds sum(g u), then sum(g).
void layer_backward(const float *g, const float *x, const float *w, const float *m, const float *s, float *gx,
                    float *partial, float *gwb, int64_t rows, int64_t width, int threads) {
    const float size = static_cast<float>(width);
    over_blocks(rows, 2 * width, partial, gwb, threads, [&](int64_t r, float *__restrict own) {
        const float *__restrict gr = g + r * width, *__restrict xr = x + r * width;
        float *__restrict out = gx + r * width, *__restrict own_b = own + width;
        const float mean = m[r], scale = s[r];
        const float first = row_sum(width, [&](int64_t i) { return gr[i] * w[i]; }) / size;
        const float second =
            row_sum(width, [&](int64_t i) { return gr[i] * w[i] * ((xr[i] - mean) * scale); }) / size;
        for (int64_t i = 0; i < width; ++i) {
            const float unit = (xr[i] - mean) * scale;
            own[i] += gr[i] * unit;
            own_b[i] += gr[i];
            out[i] = scale * (gr[i] * w[i] - first - unit * second);
        }
    });
}
}
