// The chunked scan of Mamba-2, forward and backward, in fp32: everything of one head and one chunk stays in cache.
//
// For each head: S_t = exp(a_t) S_{t-1} + (dt_t x_t) outer B_t,  y_t = S_t C_t + D x_t,  with a_t = A dt_t.
// Inside a chunk, with c the running sum of a (fp64, kept as two floats, so that a difference of two loses nothing):
//   y = exp(c) (C S) + ((C B') o L) X + D x,   L_ts = exp(c_t - c_s) for t >= s,   X = dt x;
// the state at its end is exp(c_end) S + sum_s (exp(c_end - c_s) X_s) outer B_s.
//
// Order of sums: every product adds over its inner index from first to last, one fused multiply-add each (the portable
// build rounds the product first). Vectors run along outputs only, so AVX2 and AVX-512 give the same bits. Sums over
// the heads of a group are made in PARTS parts of consecutive heads, then part after part, whatever the threads.
//
// Q positions of a chunk, P head width, N state, G groups of heads that share B and C.

#include <cstdint>
#include <cstring>
#include <vector>

#include "products.h"

constexpr int64_t PARTS = 4;  // of the heads of a group, in the sums over heads

struct Sizes {
    int64_t batch, tokens, heads, width, groups, state, chunk;
    int64_t x_batch, x_token, bc_batch, bc_token;  // strides of x, and of B and C, in floats
    int64_t chunks() const { return (tokens + chunk - 1) / chunk; }
    int64_t shared() const { return heads / groups; }
    int64_t length(int64_t i) const { return tokens - i * chunk < chunk ? tokens - i * chunk : chunk; }
};

struct Inputs {
    const float *x, *dt, *a, *b, *c, *d;
};

// Running sums of a over each chunk of one head, and what follows from them.
struct Decay {
    std::vector<float> high, low, from_start, to_end, dt;
    explicit Decay(int64_t chunk)
        : high(padded(chunk)), low(padded(chunk)), from_start(chunk), to_end(chunk), dt(chunk) {}
    float whole = 1.0f;

    void fill(const float* steps, int64_t stride, float a, int64_t q) {
        std::vector<double> sums(q);
        double sum = 0.0;
        for (int64_t t = 0; t < q; t++) {
            dt[t] = steps[t * stride];
            sum += (double)a * dt[t];
            sums[t] = sum;
            high[t] = (float)sum;
            low[t] = (float)(sum - high[t]);
        }
        for (int64_t t = 0; t < q; t++) {
            from_start[t] = remains1((float)sums[t]);
            to_end[t] = remains1((float)(sum - sums[t]));
        }
        whole = from_start[q - 1];
    }

    // L_ts for s <= t, then zeros to `end`.
    void row(int64_t t, int64_t end, float* out) const {
        V h = all(high[t]), l = all(low[t]);
        for (int64_t s = 0; s <= t; s += W) store(out + s, remains((h - load(&high[s])) + (l - load(&low[s]))));
        for (int64_t s = t + 1; s < end; s++) out[s] = 0.0f;
    }
};

// C B' of every chunk and group: [batch, groups, chunks, chunk, padded(chunk)], only s <= t meant.
static void scores(const Sizes& z, const Inputs& in, float* g, int threads) {
    const int64_t units = z.batch * z.groups * z.chunks(), ld = padded(z.chunk);
#pragma omp parallel num_threads(threads)
    {
        Local bt(z.state, z.chunk);
#pragma omp for schedule(static)
        for (int64_t u = 0; u < units; u++) {
            int64_t i = u % z.chunks(), group = u / z.chunks() % z.groups, row = u / z.chunks() / z.groups;
            int64_t q = z.length(i), at = row * z.bc_batch + i * z.chunk * z.bc_token + group * z.state;
            transpose(in.b + at, z.bc_token, q, z.state, bt.row(0), bt.ld);
            product(q, q, z.state, in.c + at, z.bc_token, 1, bt.row(0), bt.ld, g + u * z.chunk * ld, ld, false, LOWER_C);
        }
    }
}

static inline int64_t tile_end(int64_t t, int64_t q) {
    int64_t end = (t / R + 1) * R;
    return end < q ? end : q;
}

static void forward_head(const Sizes& z, const Inputs& in, const float* g, float* y, int64_t row, int64_t h) {
    const int64_t p = z.width, n = z.state, group = h / z.shared(), ldg = padded(z.chunk), pp = padded(p);
    Local s_NP(n, p), x_QP(z.chunk, p), y_QP(z.chunk, p), m_QQ(z.chunk, z.chunk);
    Decay decay(z.chunk);
    for (int64_t i = 0; i < z.chunks(); i++) {
        const int64_t q = z.length(i), t0 = i * z.chunk;
        const float* x = in.x + row * z.x_batch + t0 * z.x_token + h * p;
        const float* b = in.b + row * z.bc_batch + t0 * z.bc_token + group * n;
        const float* c = in.c + row * z.bc_batch + t0 * z.bc_token + group * n;
        const float* scores = g + ((row * z.groups + group) * z.chunks() + i) * z.chunk * ldg;
        decay.fill(in.dt + (row * z.tokens + t0) * z.heads + h, z.heads, in.a[h], q);
        for (int64_t t = 0; t < q; t++) {
            float* to = x_QP.row(t);
            for (int64_t j = 0; j < p; j++) to[j] = decay.dt[t] * x[t * z.x_token + j];
            float* m = m_QQ.row(t);
            decay.row(t, tile_end(t, q), m);
            for (int64_t k = 0; k <= t; k++) m[k] *= scores[t * ldg + k];
        }
        if (i > 0) {
            product(q, p, n, c, z.bc_token, 1, s_NP.row(0), s_NP.ld, y_QP.row(0), y_QP.ld, false);
            for (int64_t t = 0; t < q; t++) scale(y_QP.row(t), pp, decay.from_start[t]);
        }
        product(q, p, q, m_QQ.row(0), m_QQ.ld, 1, x_QP.row(0), x_QP.ld, y_QP.row(0), y_QP.ld, i > 0, LOWER_A);
        for (int64_t t = 0; t < q; t++) {
            float* to = y + ((row * z.tokens + t0 + t) * z.heads + h) * p;
            const float *from = y_QP.row(t), *skip = x + t * z.x_token;
            for (int64_t j = 0; j < p; j++) to[j] = from[j] + in.d[h] * skip[j];
        }
        if (i + 1 < z.chunks()) {
            for (int64_t t = 0; t < q; t++) scale(x_QP.row(t), pp, decay.to_end[t]);
            for (int64_t k = 0; k < n; k++) scale(s_NP.row(k), pp, decay.whole);
            product(n, p, q, b, 1, z.bc_token, x_QP.row(0), x_QP.ld, s_NP.row(0), s_NP.ld, true);
        }
    }
}

// What the heads of one part of a group add to the gradients of B and C: directly, and through C B'.
struct Part {
    float *db, *dc, *dg;  // [tokens, padded(state)] twice, [chunks, chunk, padded(chunk)]
};

struct Gradients {
    float *dx, *ddt, *db, *dc;  // of the shape of their inputs, contiguous
    double *da, *dd;            // [batch, heads]
};

// Buffers of one thread in the backward pass.
struct Scratch {
    Local states_PN, x_QP, dy_QP, dye_QP, xe_QP, dx_QP, m_QQ, l_QQ, dm_QQ, xt_PQ, b_QN, c_QN, dc_QN, ds_PN, ds_NP, x_P;
    Decay decay;
    std::vector<double> arrived, left, to_later;  // see `chunk_flow`
    explicit Scratch(const Sizes& z)
        : states_PN((z.chunks() + 1) * z.width, z.state), x_QP(z.chunk, z.width), dy_QP(z.chunk, z.width),
          dye_QP(z.chunk, z.width), xe_QP(z.chunk, z.width), dx_QP(z.chunk, z.width), m_QQ(z.chunk, z.chunk),
          l_QQ(z.chunk, z.chunk), dm_QQ(z.chunk, z.chunk), xt_PQ(z.width, z.chunk), b_QN(z.chunk, z.state),
          c_QN(z.chunk, z.state), dc_QN(z.chunk, z.state), ds_PN(z.width, z.state), ds_NP(z.state, z.width),
          x_P(1, z.width), decay(z.chunk), arrived(z.chunk), left(z.chunk), to_later(z.chunk) {}
};

// dt x of a chunk, and the same times the decay to its end.
static void scaled_inputs(const Sizes& z, const float* x, int64_t q, Scratch& w) {
    for (int64_t t = 0; t < q; t++) {
        float *plain = w.x_QP.row(t), *ended = w.xe_QP.row(t);
        for (int64_t j = 0; j < z.width; j++) {
            plain[j] = w.decay.dt[t] * x[t * z.x_token + j];
            ended[j] = plain[j] * w.decay.to_end[t];
        }
    }
}

static void copy_rows(const float* from, int64_t stride, int64_t rows, int64_t width, Local& to) {
    for (int64_t t = 0; t < rows; t++) memcpy(to.row(t), from + t * stride, width * sizeof(float));
}

// The state at the start of every chunk but the first, which is zero.
static void states(const Sizes& z, const Inputs& in, int64_t row, int64_t h, Scratch& w) {
    const int64_t p = z.width, n = z.state, group = h / z.shared();
    for (int64_t k = 0; k < p; k++) memset(w.states_PN.row(k), 0, w.states_PN.ld * sizeof(float));
    for (int64_t i = 0; i + 1 < z.chunks(); i++) {
        const int64_t q = z.chunk, t0 = i * z.chunk;
        w.decay.fill(in.dt + (row * z.tokens + t0) * z.heads + h, z.heads, in.a[h], q);
        scaled_inputs(z, in.x + row * z.x_batch + t0 * z.x_token + h * p, q, w);
        copy_rows(in.b + row * z.bc_batch + t0 * z.bc_token + group * n, z.bc_token, q, n, w.b_QN);
        float *before = w.states_PN.row(i * p), *after = w.states_PN.row((i + 1) * p);
        const int64_t ld = w.states_PN.ld, np = padded(n);
        for (int64_t k = 0; k < p; k++)
            for (int64_t j = 0; j < np; j += W) store(after + k * ld + j, load(before + k * ld + j) * w.decay.whole);
        product(p, n, q, w.xe_QP.row(0), 1, w.xe_QP.ld, w.b_QN.row(0), w.b_QN.ld, after, ld, true);
    }
}

// L, (C B') o L, and dy with the decay from the start of the chunk.
static void chunk_matrices(const Sizes& z, const float* scores, const float* dy, int64_t q, Scratch& w) {
    const int64_t ldg = padded(z.chunk);
    for (int64_t t = 0; t < q; t++) {
        float *l = w.l_QQ.row(t), *m = w.m_QQ.row(t), *plain = w.dy_QP.row(t), *begun = w.dye_QP.row(t);
        w.decay.row(t, tile_end(t, q), l);
        for (int64_t k = 0; k < tile_end(t, q); k++) m[k] = k <= t ? l[k] * scores[t * ldg + k] : 0.0f;
        for (int64_t j = 0; j < z.width; j++) {
            plain[j] = dy[t * z.heads * z.width + j];
            begun[j] = plain[j] * w.decay.from_start[t];
        }
    }
}

// What goes between chunks: the gradient of dt x through the state at the end, the shares of the gradients of B and C.
static void chunk_ends(const Sizes& z, int64_t i, int64_t q, const float* b, Part& part, Scratch& w) {
    const int64_t p = z.width, n = z.state, np = padded(n), t0 = i * z.chunk;
    if (i + 1 < z.chunks()) {
        transpose(w.ds_PN.row(0), w.ds_PN.ld, p, n, w.ds_NP.row(0), w.ds_NP.ld);
        product(q, p, n, b, z.bc_token, 1, w.ds_NP.row(0), w.ds_NP.ld, w.dx_QP.row(0), w.dx_QP.ld, false);
        for (int64_t t = 0; t < q; t++) scale(w.dx_QP.row(t), padded(p), w.decay.to_end[t]);
        for (int64_t t = 0; t < q; t++) w.to_later[t] = dot(w.dx_QP.row(t), w.x_QP.row(t), padded(p));
        product(q, n, p, w.xe_QP.row(0), w.xe_QP.ld, 1, w.ds_PN.row(0), w.ds_PN.ld, part.db + t0 * np, np, true);
    }
    if (i > 0) {
        const float* s = w.states_PN.row(i * p);
        product(q, n, p, w.dye_QP.row(0), w.dye_QP.ld, 1, s, w.states_PN.ld, w.dc_QN.row(0), w.dc_QN.ld, false);
        for (int64_t t = 0; t < q; t++) {
            float *to = part.dc + (t0 + t) * np, *from = w.dc_QN.row(t);
            w.arrived[t] = dot(from, w.c_QN.row(t), np);
            for (int64_t j = 0; j < np; j += W) store(to + j, load(to + j) + load(from + j));
        }
    }
}

// What goes between positions of the chunk, added to the gradient of dt x and to that of C B'.
static void chunk_inside(const Sizes& z, int64_t i, int64_t q, Part& part, Scratch& w) {
    const int64_t p = z.width, ldg = padded(z.chunk);
    const bool last = i + 1 == z.chunks();
    product(q, p, q, w.m_QQ.row(0), 1, w.m_QQ.ld, w.dy_QP.row(0), w.dy_QP.ld, w.dx_QP.row(0), w.dx_QP.ld, !last, UPPER_A);
    transpose(w.x_QP.row(0), w.x_QP.ld, q, p, w.xt_PQ.row(0), w.xt_PQ.ld);
    product(q, q, p, w.dy_QP.row(0), w.dy_QP.ld, 1, w.xt_PQ.row(0), w.xt_PQ.ld, w.dm_QQ.row(0), w.dm_QQ.ld, false, LOWER_C);
    for (int64_t t = 0; t < q; t++) {
        float* dg = part.dg + (i * z.chunk + t) * ldg;
        float *dm = w.dm_QQ.row(t), *l = w.l_QQ.row(t), *m = w.m_QQ.row(t);
        for (int64_t k = 0; k <= t; k++) dg[k] += dm[k] * l[k];
        for (int64_t k = 0; k < t; k++) dm[k] *= m[k];
        for (int64_t k = t; k < ldg; k++) dm[k] = 0.0f;
    }
}

// The derivative by a_t is what flows from before t to t or later, each way counted as (its part of y) * dy. `whole`
// goes through all of the chunk, w.arrived[t] comes from before it to t, w.to_later[t] goes from t behind it, and
// row t of w.dm_QQ is what comes to t from inside. The result is in w.arrived.
static void chunk_flow(const Sizes& z, int64_t i, int64_t q, double whole, Scratch& w) {
    std::vector<double> taken(q), given(w.dm_QQ.ld, 0.0);  // fp64: their difference is far smaller than they are
    for (int64_t t = 0; t < q; t++) {
        const float* m = w.dm_QQ.row(t);
        double lanes[8] = {};
        for (int64_t k = 0; k < t; k += 8)
            for (int v = 0; v < 8; v++) lanes[v] += m[k + v];
        for (int v = 0; v < 8; v++) taken[t] += lanes[v];
        for (int64_t k = 0; k < t; k++) given[k] += m[k];
    }
    double inside = 0.0, before = 0.0, after = 0.0;
    for (int64_t t = 0; t < q; t++) {
        w.left[t] = before;
        if (i + 1 < z.chunks()) before += w.to_later[t];
    }
    for (int64_t t = q - 1; t >= 0; t--) {
        if (i > 0) after += w.arrived[t];
        inside += taken[t] - given[t];
        w.arrived[t] = whole + after + w.left[t] + inside;
    }
}

static void chunk_steps(const Sizes& z, const Inputs& in, Gradients& out, int64_t row, int64_t h, int64_t t0,
                        int64_t q, Scratch& w) {
    const int64_t p = z.width, pp = padded(p);
    double da = 0.0, dd = 0.0;
    for (int64_t t = 0; t < q; t++) {
        const int64_t at = (row * z.tokens + t0 + t) * z.heads + h;
        const float *x = in.x + row * z.x_batch + (t0 + t) * z.x_token + h * p, *dx = w.dx_QP.row(t), *dy = w.dy_QP.row(t);
        memcpy(w.x_P.row(0), x, p * sizeof(float));
        out.ddt[at] = (float)(in.a[h] * w.arrived[t] + dot(dx, w.x_P.row(0), pp));
        da += w.decay.dt[t] * w.arrived[t];
        dd += dot(dy, w.x_P.row(0), pp);
        float* to = out.dx + at * p;
        for (int64_t j = 0; j < p; j++) to[j] = w.decay.dt[t] * dx[j] + in.d[h] * dy[j];
    }
    out.da[row * z.heads + h] += da;
    out.dd[row * z.heads + h] += dd;
}

static void backward_head(const Sizes& z, const Inputs& in, const float* g, const float* dy, Gradients& out,
                          Part& part, int64_t row, int64_t h, Scratch& w) {
    const int64_t p = z.width, n = z.state, np = padded(n), group = h / z.shared(), ldg = padded(z.chunk);
    states(z, in, row, h, w);
    for (int64_t i = z.chunks() - 1; i >= 0; i--) {
        const int64_t q = z.length(i), t0 = i * z.chunk, bc = row * z.bc_batch + t0 * z.bc_token + group * n;
        w.decay.fill(in.dt + (row * z.tokens + t0) * z.heads + h, z.heads, in.a[h], q);
        scaled_inputs(z, in.x + row * z.x_batch + t0 * z.x_token + h * p, q, w);
        const float* scores = g + ((row * z.groups + group) * z.chunks() + i) * z.chunk * ldg;
        chunk_matrices(z, scores, dy + ((row * z.tokens + t0) * z.heads + h) * p, q, w);
        copy_rows(in.c + bc, z.bc_token, q, n, w.c_QN);
        chunk_ends(z, i, q, in.b + bc, part, w);
        chunk_inside(z, i, q, part, w);
        const bool last = i + 1 == z.chunks();
        double whole = 0.0;
        for (int64_t k = 0; k < p && i > 0 && !last; k++) whole += dot(w.states_PN.row(i * p + k), w.ds_PN.row(k), np);
        chunk_flow(z, i, q, whole * w.decay.whole, w);
        chunk_steps(z, in, out, row, h, t0, q, w);
        if (i > 0) {
            for (int64_t k = 0; k < p && !last; k++) scale(w.ds_PN.row(k), np, w.decay.whole);
            product(p, n, q, w.dye_QP.row(0), 1, w.dye_QP.ld, w.c_QN.row(0), w.c_QN.ld, w.ds_PN.row(0), w.ds_PN.ld, !last);
        }
    }
}

// Adds the parts of one group and chunk, then what comes through C B', and writes the gradients of B and C.
static void join(const Sizes& z, const Inputs& in, std::vector<Part>& parts, Gradients& out, int64_t row,
                 int64_t group, int64_t i, Local& b_QN, Local& c_QN) {
    const int64_t q = z.length(i), n = z.state, np = padded(n), ldg = padded(z.chunk), t0 = i * z.chunk;
    Part& sum = parts[0];
    for (size_t k = 1; k < parts.size(); k++)
        for (int64_t t = 0; t < q; t++) {
            for (int64_t j = 0; j < np; j++) sum.db[(t0 + t) * np + j] += parts[k].db[(t0 + t) * np + j];
            for (int64_t j = 0; j < np; j++) sum.dc[(t0 + t) * np + j] += parts[k].dc[(t0 + t) * np + j];
            for (int64_t j = 0; j <= t; j++) sum.dg[(t0 + t) * ldg + j] += parts[k].dg[(t0 + t) * ldg + j];
        }
    const int64_t bc = row * z.bc_batch + t0 * z.bc_token + group * n;
    copy_rows(in.b + bc, z.bc_token, q, n, b_QN);
    copy_rows(in.c + bc, z.bc_token, q, n, c_QN);
    float* dg = sum.dg + t0 * ldg;
    product(q, n, q, dg, ldg, 1, b_QN.row(0), b_QN.ld, sum.dc + t0 * np, np, true, LOWER_A);
    product(q, n, q, dg, 1, ldg, c_QN.row(0), c_QN.ld, sum.db + t0 * np, np, true, UPPER_A);
    for (int64_t t = 0; t < q; t++) {
        const int64_t at = ((row * z.tokens + t0 + t) * z.groups + group) * n;
        memcpy(out.db + at, sum.db + (t0 + t) * np, n * sizeof(float));
        memcpy(out.dc + at, sum.dc + (t0 + t) * np, n * sizeof(float));
    }
}

static Sizes sizes(const int64_t* s) {
    return Sizes{s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10]};
}

extern "C" void scan_forward(const int64_t* shape, const float* x, const float* dt, const float* a, const float* b,
                             const float* c, const float* d, float* y, int threads) {
    const Sizes z = sizes(shape);
    const Inputs in{x, dt, a, b, c, d};
    std::vector<float> g(z.batch * z.groups * z.chunks() * z.chunk * padded(z.chunk));
    scores(z, in, g.data(), threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t u = 0; u < z.batch * z.heads; u++) forward_head(z, in, g.data(), y, u / z.heads, u % z.heads);
}

extern "C" void scan_backward(const int64_t* shape, const float* x, const float* dt, const float* a, const float* b,
                              const float* c, const float* d, const float* dy, float* dx, float* ddt, float* db,
                              float* dc, double* da, double* dd, int threads) {
    const Sizes z = sizes(shape);
    const Inputs in{x, dt, a, b, c, d};
    Gradients out{dx, ddt, db, dc, da, dd};
    const int64_t np = padded(z.state), ldg = padded(z.chunk), own = z.chunks() * z.chunk;
    const int64_t heads = (z.shared() + PARTS - 1) / PARTS, parts = (z.shared() + heads - 1) / heads;
    std::vector<float> g(z.batch * z.groups * own * ldg);
    scores(z, in, g.data(), threads);
    const int64_t units = z.batch * z.groups * parts, each = own * (2 * np + ldg);
    std::vector<float> buffer(units * each, 0.0f);
    std::vector<Part> all_parts(units);
    for (int64_t u = 0; u < units; u++) {
        float* at = buffer.data() + u * each;
        all_parts[u] = Part{at, at + own * np, at + 2 * own * np};
    }
#pragma omp parallel num_threads(threads)
    {
        Scratch w(z);
#pragma omp for schedule(static)
        for (int64_t u = 0; u < units; u++) {
            const int64_t part = u % parts, group = u / parts % z.groups, row = u / parts / z.groups;
            for (int64_t k = part * heads; k < (part + 1) * heads && k < z.shared(); k++)
                backward_head(z, in, g.data(), dy, out, all_parts[u], row, group * z.shared() + k, w);
        }
        Local b_QN(z.chunk, z.state), c_QN(z.chunk, z.state);
#pragma omp for schedule(static)
        for (int64_t u = 0; u < z.batch * z.groups * z.chunks(); u++) {
            const int64_t i = u % z.chunks(), unit = u / z.chunks();
            std::vector<Part> of(all_parts.begin() + unit * parts, all_parts.begin() + (unit + 1) * parts);
            join(z, in, of, out, unit / z.groups, unit % z.groups, i, b_QN, c_QN);
        }
    }
}
