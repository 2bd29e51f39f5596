#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// Vectors of float for sources that are compiled once per instruction set (refusion_add_kernels in
// cmake/kernels.cmake), written with the vector extensions of GCC and Clang. Each build has its own
// namespace, REFUSION_ISA, and must call no inline function of the standard library that is more than an
// intrinsic: the linker keeps one copy of each, which might be the one that this machine cannot run.
#if !defined(REFUSION_ISA)
#error "compile this source through refusion_add_kernels"
#endif

#define REFUSION_INLINE inline __attribute__((always_inline))
// Loops over registers: the compiler keeps an array of vectors in registers only if every index is a
// constant.
#if defined(__clang__)
#define REFUSION_UNROLL _Pragma("clang loop unroll(full)")
#else
#define REFUSION_UNROLL _Pragma("GCC unroll 16")
#endif

namespace refusion::REFUSION_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
inline constexpr int kRegisters = 32;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
inline constexpr int kRegisters = 16;
#else
inline constexpr int kLanes = 4;
inline constexpr int kRegisters = sizeof(void*) == 8 ?
#if defined(__aarch64__)
                                                     32
#else
                                                     16
#endif
                                                     : 8;
#endif

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
typedef int IntVector __attribute__((vector_size(kLanes * sizeof(int))));

// The same in memory: at any float's address.
typedef float Unaligned
    __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

REFUSION_INLINE Vector load(const float* address) { return *reinterpret_cast<const Unaligned*>(address); }

REFUSION_INLINE void store(float* address, Vector value) { *reinterpret_cast<Unaligned*>(address) = value; }

// Every lane the same. Adding to a zero vector would not do: -0 has to stay -0, so the compiler would add.
REFUSION_INLINE Vector splat(float value) {
#if defined(__AVX512F__)
    return Vector{value, value, value, value, value, value, value, value,
                  value, value, value, value, value, value, value, value};
#elif defined(__AVX2__)
    return Vector{value, value, value, value, value, value, value, value};
#else
    return Vector{value, value, value, value};
#endif
}

// Lane by lane; the compilers make calls of a loop over the lanes.
REFUSION_INLINE Vector square_root(Vector value) {
#if defined(__AVX512F__)
    // Not _mm512_sqrt_ps: GCC 12 warns of an uninitialised value within it.
    return (Vector)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)value);
#elif defined(__AVX2__)
    return (Vector)_mm256_sqrt_ps((__m256)value);
#elif defined(__x86_64__)
    return (Vector)_mm_sqrt_ps((__m128)value);
#elif defined(__aarch64__)
    return (Vector)vsqrtq_f32((float32x4_t)value);
#else
    REFUSION_UNROLL
    for (int i = 0; i < kLanes; ++i) {
        value[i] = __builtin_sqrtf(value[i]);
    }
    return value;
#endif
}

// Keeps an array in memory, from which one value for all lanes is one load; the compiler would take it from
// the lane of a register in several steps.
template <class Array>
REFUSION_INLINE void keep_in_memory(Array& array) {
    asm volatile("" : "+m"(array));
}

REFUSION_INLINE Vector minimum(Vector a, Vector b) { return a < b ? a : b; }
REFUSION_INLINE Vector maximum(Vector a, Vector b) { return a > b ? a : b; }

// The lanes of a and b, numbered on through both, in the order of `lanes`.
REFUSION_INLINE Vector shuffle(Vector a, Vector b, IntVector lanes) {
#if defined(__clang__)
    Vector result;
    REFUSION_UNROLL
    for (int i = 0; i < kLanes; ++i) {
        result[i] = lanes[i] < kLanes ? a[lanes[i]] : b[lanes[i] - kLanes];
    }
    return result;
#else
    return __builtin_shuffle(a, b, lanes);
#endif
}

// Lane i of the result is the sum over the lanes of rows[i]. log2(kLanes) steps for all rows together,
// instead of that many for each. The rows are used up.
REFUSION_INLINE Vector lane_sums(Vector (&rows)[kLanes]) {
    IntVector even, odd;
    REFUSION_UNROLL
    for (int width = 1; width < kLanes; width *= 2) {
        // Each vector holds `width` rows' partial sums side by side, in blocks; two are merged by adding the
        // lanes whose index has bit `width` clear to those that have it set.
        REFUSION_UNROLL
        for (int lane = 0; lane < kLanes; ++lane) {
            even[lane] = (lane & width) != 0 ? kLanes + (lane ^ width) : lane;
            odd[lane] = (lane & width) != 0 ? kLanes + lane : lane ^ width;
        }
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; i += 2 * width) {
            rows[i] = shuffle(rows[i], rows[i + width], even) + shuffle(rows[i], rows[i + width], odd);
        }
    }
    return rows[0];
}

}  // namespace refusion::REFUSION_ISA
