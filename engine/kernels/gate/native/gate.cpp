// silu(gate) * up and its gradients, elementwise, in one pass each.
//
// exp(x) = 2^n * p(r), n = round(x / ln 2), r = x - n ln 2 in two steps, p the Taylor polynomial of degree 7 (its
// remainder below |r| = 0.347 is 5e-9 of exp, under half a rounding of fp32). + - * / and moves of bits only, each rounded by
// itself: the same bits for any number of threads and any vector width. exp saturates below -60 and above 60;
// below -60 silu is 0, above 60 it is x. bfloat16 is widened, computed in fp32 and rounded once.

#include <cstdint>
#include <cstring>

#include "bfloat16.h"

namespace {

inline float exponential(float x) {
    x = x < -60.0f ? -60.0f : x;  // no nearer to 87: lanes that are not taken would meet slow denormals
    x = x > 60.0f ? 60.0f : x;
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which stands in the low bits
    const float moved = x * 1.44269504f + shift, n = moved - shift;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln 2 = 355/512 - 2.1219e-4, the first exact
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    std::memcpy(&bits, &moved, 4);
    bits = (bits + 127u) << 23;  // 127 + n as an exponent
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}

inline float sigmoid(float x) {
    const float s = 1.0f / (1.0f + exponential(-x));
    return x < -60.0f ? 0.0f : s;  // or else silu of a huge negative number would be that number times exp(-60)
}

constexpr int64_t BLOCK = 4096;  // elements that one thread takes at a time; no result depends on it

template <class Body>
void over(int64_t count, int threads, Body body) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < (count + BLOCK - 1) / BLOCK; ++b)
        body(b * BLOCK, count - b * BLOCK < BLOCK ? count - b * BLOCK : BLOCK);
}

template <class T>
__attribute__((noinline)) void products(const T *__restrict g, const T *__restrict u, T *__restrict y, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
        const float a = widen(g[i]);
        store(y + i, a * sigmoid(a) * widen(u[i]));
    }
}

template <class T>
__attribute__((noinline)) void gradients(const T *__restrict d, const T *__restrict g, const T *__restrict u,
                                         T *__restrict dg, T *__restrict du, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
        const float a = widen(g[i]), s = sigmoid(a), dy = widen(d[i]);
        store(dg + i, dy * widen(u[i]) * (s * (1.0f + a * (1.0f - s))));
        store(du + i, dy * (a * s));
    }
}

template <class T>
void forward(const T *gate, const T *up, T *y, int64_t count, int threads) {
    over(count, threads, [=](int64_t at, int64_t size) { products(gate + at, up + at, y + at, size); });
}

template <class T>
void backward(const T *grad, const T *gate, const T *up, T *grad_gate, T *grad_up, int64_t count, int threads) {
    over(count, threads, [=](int64_t at, int64_t size) {
        gradients(grad + at, gate + at, up + at, grad_gate + at, grad_up + at, size);
    });
}

}  // namespace

extern "C" {
void gate_float(const float *g, const float *u, float *y, int64_t n, int threads) { forward(g, u, y, n, threads); }
void gate_bfloat16(const uint16_t *g, const uint16_t *u, uint16_t *y, int64_t n, int threads) {
    forward(g, u, y, n, threads);
}
void gate_backward_float(const float *d, const float *g, const float *u, float *dg, float *du, int64_t n, int threads) {
    backward(d, g, u, dg, du, n, threads);
}
void gate_backward_bfloat16(const uint16_t *d, const uint16_t *g, const uint16_t *u, uint16_t *dg, uint16_t *du,
                            int64_t n, int threads) {
    backward(d, g, u, dg, du, n, threads);
}
}
