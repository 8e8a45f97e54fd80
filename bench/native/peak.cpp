// How fast one thread can do what packed products cannot do without: an upper bound of their speed.
//
// An instruction mix runs from registers alone, written in one block of assembly so that the compiler adds nothing to
// it. It holds the least that a kernel of this kind issues for each 64 multiply-adds (16 rows x 4 columns of look-ups,
// or 64 columns of one row in int8); loads, which other ports issue, are left out. Chains are long enough to hide the
// latency of every instruction. Returned are multiply-adds in units of 1e9 a second; 0 where there is no AVX-512.

#include <chrono>
#include <cstdint>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

#ifdef __AVX512F__

constexpr int64_t kRounds = 20000;  // about 100 microseconds, so that the best of many misses interruptions

#define EIGHT(one) one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7)
#define REGISTERS \
    "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10", "zmm11", "zmm12", "zmm13", \
        "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", "zmm21", "zmm22", "zmm23", "zmm24", "zmm25", \
        "zmm26", "zmm27", "zmm28", "zmm29", "zmm30", "zmm31", "cc"

// Runs the body kRounds times; each stands for `products` multiply-adds.
#define RATE(products, body)                                                                               \
    const double begin = now();                                                                            \
    int64_t left = kRounds;                                                                                \
    asm volatile("1:\n" body "dec %0\njnz 1b\n" : "+r"(left) : : REGISTERS);                               \
    return double(products) * kRounds / (now() - begin) / 1e9

// Sums are zmm0 to zmm7, what was looked up or masked zmm8 to zmm15, indices zmm16 to zmm23; zmm30 and zmm31 are given.
#define SHIFT(k) "vpsrld $4,%%zmm31,%%zmm" ONE_OF_16(k) "\n"
#define LOOK_UP(k) "vpermps %%zmm30,%%zmm" ONE_OF_16(k) ",%%zmm" ONE_OF_8(k) "\n"
#define ADD(k) "vaddps %%zmm" ONE_OF_8(k) ",%%zmm" #k ",%%zmm" #k "\n"
#define MASK(k) "vpandd %%zmm30,%%zmm31,%%zmm" ONE_OF_8(k) "\n"
#define DOT(k) "vpdpbusd %%zmm30,%%zmm" ONE_OF_8(k) ",%%zmm" #k "\n"
#define PLAIN_DOT(k) "vpdpbusd %%zmm30,%%zmm31,%%zmm" #k "\n"
#define OTHER_DOT(k) "vpdpbusd %%zmm30,%%zmm31,%%zmm" ONE_OF_8(k) "\n"
#define ONE_OF_8(k) NAME8_##k
#define NAME8_0 "8"
#define NAME8_1 "9"
#define NAME8_2 "10"
#define NAME8_3 "11"
#define NAME8_4 "12"
#define NAME8_5 "13"
#define NAME8_6 "14"
#define NAME8_7 "15"
#define ONE_OF_16(k) NAME16_##k
#define NAME16_0 "16"
#define NAME16_1 "17"
#define NAME16_2 "18"
#define NAME16_3 "19"
#define NAME16_4 "20"
#define NAME16_5 "21"
#define NAME16_6 "22"
#define NAME16_7 "23"

// A word for one token: seven shifts (the first index needs none), eight look-ups, eight additions.
double lookup_one() {
    RATE(8 * 64, EIGHT(LOOK_UP) SHIFT(1) SHIFT(2) SHIFT(3) SHIFT(4) SHIFT(5) SHIFT(6) SHIFT(7) EIGHT(ADD));
}

// A token of many, which share the shifts.
double lookup_many() { RATE(8 * 64, EIGHT(LOOK_UP) EIGHT(ADD)); }

// A mask and a dot product for one token.
double int8_one() { RATE(8 * 64, EIGHT(MASK) EIGHT(DOT)); }

// A token of many, which share the masks; eight chains would wait for each other.
double int8_many() { RATE(16 * 64, EIGHT(PLAIN_DOT) EIGHT(OTHER_DOT)); }

#endif

}  // namespace

extern "C" {

// The bound of one kind for one token or for several that share the decoding of bits.
double peak_lookup(int several) {
#ifdef __AVX512F__
    return several ? lookup_many() : lookup_one();
#else
    return 0 * several;
#endif
}

double peak_int8(int several) {
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512vnni")) return 0;
    return several ? int8_many() : int8_one();
#else
    return 0 * several;
#endif
}

// Reads memory in as many streams side by side as said; bytes a second, in units of 1e9.
double read_bandwidth(const uint8_t* data, int64_t bytes, int streams) {
    const int64_t each = bytes / streams / 512 * 512;
    uint64_t sum = 0;
    const double begin = now();
#ifdef __AVX512F__
    __m512i total[8] = {};
    for (int64_t i = 0; i < each; i += 512)
        for (int s = 0; s < streams; ++s)
            for (int k = 0; k < 8; ++k)
                total[k] = _mm512_or_si512(total[k], _mm512_loadu_si512(data + s * each + i + 64 * k));
    for (int k = 0; k < 8; ++k) sum += uint64_t(_mm512_reduce_add_epi64(total[k]));
#else
    uint64_t total[8] = {};
    for (int64_t i = 0; i < each; i += 64)
        for (int s = 0; s < streams; ++s)
            for (int k = 0; k < 8; ++k) total[k] |= reinterpret_cast<const uint64_t*>(data + s * each + i)[k];
    for (int k = 0; k < 8; ++k) sum += total[k];
#endif
    const double seconds = now() - begin;
    return sum == 1 ? 0 : double(each) * streams / seconds / 1e9;
}
}
