// The causal convolution of each channel with its SiLU, forward and backward, one pass over the positions each.
//
// Channels are worked on in blocks of BLOCK, and positions one after another inside a block: what a position needs is
// still in cache. Blocks are independent, so threads change nothing. Order of sums: an output adds its bias, then its
// K products from the oldest position on; gradients of weight and bias add rows, then positions from last to first, in
// runs of RUN positions that are summed in fp32 and then added in fp64. No fused multiply-adds: every build gives the
// same bits.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "vectors.h"

constexpr int64_t BLOCK = 256, RUN = 64;

static inline V sigmoid(V x) {
    V s = 1.0f / (1.0f + exp(-x));
    return x < -87.0f ? (V){} : s;  // or else silu of a huge negative number would be that number times exp(-87)
}

struct Sizes {
    int64_t rows, tokens, channels, seen, row_stride, token_stride;
};

// Weights and bias of a block, padded with zeros: [seen + 1][BLOCK], the bias last.
static std::vector<float> taps(const Sizes& z, const float* weight, const float* bias, int64_t from, int64_t n) {
    std::vector<float> found((z.seen + 1) * BLOCK, 0.0f);
    for (int64_t k = 0; k < z.seen; k++) memcpy(&found[k * BLOCK], weight + k * z.channels + from, n * sizeof(float));
    memcpy(&found[z.seen * BLOCK], bias + from, n * sizeof(float));
    return found;
}

// A ring of the last `seen` inputs of a block, so that no position reads beyond the row or the block.
struct Ring {
    int64_t seen;
    std::vector<float> data;
    explicit Ring(int64_t k) : seen(k), data(k * BLOCK) {}
    float* at(int64_t t) { return &data[(t % seen + seen) % seen * BLOCK]; }
    // Where positions from `oldest` on are, into `found`.
    void run(int64_t oldest, std::vector<float*>& found) {
        for (int64_t k = 0; k < seen; k++) found[k] = at(oldest + k);
    }
    void clear() { std::fill(data.begin(), data.end(), 0.0f); }
    void put(int64_t t, const float* x, int64_t n) { memcpy(at(t), x, n * sizeof(float)); }
};

static inline V before_silu(int64_t seen, const float* w, float* const* x, int64_t j) {
    V sum = load(w + seen * BLOCK + j);
    for (int64_t k = 0; k < seen; k++) sum += load(w + k * BLOCK + j) * load(x[k] + j);
    return sum;
}

static void forward_block(const Sizes& z, const float* x, const std::vector<float>& w, float* y, int64_t row,
                          int64_t from, int64_t n) {
    Ring ring(z.seen);
    std::vector<float*> seen(z.seen);
    float out[BLOCK];
    ring.clear();
    for (int64_t t = 0; t < z.tokens; t++) {
        ring.put(t, x + row * z.row_stride + t * z.token_stride + from, n);
        ring.run(t - z.seen + 1, seen);
        for (int64_t j = 0; j < n; j += W) {
            V sum = before_silu(z.seen, w.data(), seen.data(), j);
            store(out + j, sum * sigmoid(sum));
        }
        memcpy(y + (row * z.tokens + t) * z.channels + from, out, n * sizeof(float));
    }
}

// Gradients of a block of one row; sums of weights and bias go to `total`, [seen + 1][BLOCK] as in `taps`.
static void backward_block(const Sizes& z, const float* x, const std::vector<float>& w, const float* dy, float* dx,
                           int64_t row, int64_t from, int64_t n, std::vector<double>& total) {
    Ring inputs(z.seen), later(z.seen);  // later: the gradient before SiLU of the next positions
    std::vector<float> run((z.seen + 1) * BLOCK, 0.0f);
    std::vector<float*> seen(z.seen), next(z.seen);
    float given[BLOCK] = {}, out[BLOCK];
    auto input = [&](int64_t t) { return x + row * z.row_stride + t * z.token_stride + from; };
    inputs.clear();
    later.clear();
    for (int64_t t = z.tokens - 1; t > z.tokens - z.seen && t >= 0; t--) inputs.put(t, input(t), n);
    for (int64_t t = z.tokens - 1; t >= 0; t--) {
        const int64_t oldest = t - z.seen + 1;
        if (oldest >= 0)
            inputs.put(oldest, input(oldest), n);
        else
            memset(inputs.at(oldest), 0, BLOCK * sizeof(float));
        memcpy(given, dy + (row * z.tokens + t) * z.channels + from, n * sizeof(float));
        inputs.run(oldest, seen);
        later.run(t, next);
        for (int64_t j = 0; j < n; j += W) {
            V sum = before_silu(z.seen, w.data(), seen.data(), j), s = sigmoid(sum);
            V d = load(given + j) * (s * (1.0f + sum * (1.0f - s)));
            store(next[0] + j, d);
            V to_x = (V){};
            for (int64_t k = 0; k < z.seen; k++) {
                float* part = &run[k * BLOCK + j];
                store(part, load(part) + d * load(seen[k] + j));
                to_x += load(&w[k * BLOCK + j]) * load(next[z.seen - 1 - k] + j);
            }
            float* part = &run[z.seen * BLOCK + j];
            store(part, load(part) + d);
            store(out + j, to_x);
        }
        memcpy(dx + (row * z.tokens + t) * z.channels + from, out, n * sizeof(float));
        if (t % RUN == 0)
            for (size_t i = 0; i < run.size(); i++) total[i] += run[i], run[i] = 0.0f;
    }
}

static Sizes sizes(const int64_t* s) { return Sizes{s[0], s[1], s[2], s[3], s[4], s[5]}; }

static inline int64_t width(const Sizes& z, int64_t from) { return z.channels - from < BLOCK ? z.channels - from : BLOCK; }

extern "C" void conv_forward(const int64_t* shape, const float* x, const float* weight, const float* bias, float* y,
                             int threads) {
    const Sizes z = sizes(shape);
    const int64_t blocks = (z.channels + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t u = 0; u < z.rows * blocks; u++) {
        const int64_t from = u % blocks * BLOCK, n = width(z, from);
        forward_block(z, x, taps(z, weight, bias, from, n), y, u / blocks, from, n);
    }
}

extern "C" void conv_backward(const int64_t* shape, const float* x, const float* weight, const float* bias,
                              const float* dy, float* dx, float* dweight, float* dbias, int threads) {
    const Sizes z = sizes(shape);
    const int64_t blocks = (z.channels + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t u = 0; u < blocks; u++) {
        const int64_t from = u * BLOCK, n = width(z, from);
        const std::vector<float> w = taps(z, weight, bias, from, n);
        std::vector<double> total((z.seen + 1) * BLOCK, 0.0);
        for (int64_t row = 0; row < z.rows; row++) backward_block(z, x, w, dy, dx, row, from, n, total);
        for (int64_t j = 0; j < n; j++) {
            for (int64_t k = 0; k < z.seen; k++) dweight[k * z.channels + from + j] = (float)total[k * BLOCK + j];
            dbias[from + j] = (float)total[z.seen * BLOCK + j];
        }
    }
}
