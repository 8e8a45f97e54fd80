// How often a second one thread can issue the instructions of packed products, from registers: their upper bound.
//
// Returned are the multiply-adds that these instructions stand for, in units of 1e9 a second; 0 without AVX-512.

#include <chrono>
#include <cstdint>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

extern "C" {

// A look-up, an addition and a shift for 16 rows x 4 columns: what one token costs with no memory at all.
double peak_lookup() {
#ifdef __AVX512F__
    __m512i index = _mm512_set1_epi32(5), shifted[8];
    __m512 table = _mm512_set1_ps(1), found[8], sum[8];
    for (auto& x : sum) x = _mm512_setzero_ps();
    const double begin = now();
    for (int i = 0; i < 100000; ++i)
        for (int k = 0; k < 8; ++k) {
            asm volatile("vpsrld $4,%1,%0" : "=v"(shifted[k]) : "v"(index));
            asm volatile("vpermps %2,%1,%0" : "=v"(found[k]) : "v"(index), "v"(table));
            asm volatile("vaddps %1,%0,%0" : "+v"(sum[k]) : "v"(table));
        }
    return 100000.0 * 8 * 64 / (now() - begin) / 1e9;
#else
    return 0;
#endif
}

// A mask and a dot product for 64 columns of one row.
double peak_int8() {
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512vnni")) return 0;
    __m512i bits = _mm512_set1_epi8(5), plane[8], sum[8];
    for (auto& x : sum) x = _mm512_setzero_si512();
    const double begin = now();
    for (int i = 0; i < 100000; ++i)
        for (int k = 0; k < 8; ++k) {
            asm volatile("vpandd %1,%1,%0" : "=v"(plane[k]) : "v"(bits));
            asm volatile("vpdpbusd %1,%1,%0" : "+v"(sum[k]) : "v"(bits));
        }
    return 100000.0 * 8 * 64 / (now() - begin) / 1e9;
#else
    return 0;
#endif
}

// Reads 64 bytes at a time; bytes a second, in units of 1e9.
double read_bandwidth(const uint8_t* data, int64_t bytes) {
    uint64_t sum = 0;
    const double begin = now();
#ifdef __AVX512F__
    __m512i total = _mm512_setzero_si512();
    for (int64_t i = 0; i + 256 <= bytes; i += 256)
        for (int k = 0; k < 4; ++k) total = _mm512_add_epi64(total, _mm512_loadu_si512(data + i + 64 * k));
    sum = uint64_t(_mm512_reduce_add_epi64(total));
#else
    for (int64_t i = 0; i + 8 <= bytes; i += 8) sum += *reinterpret_cast<const uint64_t*>(data + i);
#endif
    const double seconds = now() - begin;
    return sum == 1 ? 0 : double(bytes) / seconds / 1e9;
}
}
