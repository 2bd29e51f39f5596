#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "pointwise.hpp"

// 1x1 convolutions whose products are of bfloat16: pixels and weights are rounded to it, sums stay float.
// Twice the products an instruction, for an error of some thousandths in the fused luma.
namespace refusion::REFUSION_ISA {

template <int kValue>
struct Constant {
    constexpr operator int() const { return kValue; }
};

// Two neighbouring channels, as one lane of the dot product takes them.
using Pair = std::uint32_t;

// To the nearest, ties to even; finite values only.
inline Pair rounded(float value) {
    Pair bits;
    __builtin_memcpy(&bits, &value, sizeof(bits));
    return (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
}

template <int kIn>
REFUSION_INLINE void round_pixel(const float* in, Pair* out) {
    REFUSION_UNROLL
    for (int i = 0; i < kIn; i += kLanes) {
        const __m256bh half = _mm512_cvtneps_pbh(_mm512_loadu_ps(in + i));
        __builtin_memcpy(out + i / 2, &half, sizeof(half));
    }
}

template <int kIn, int kVectors, int kCount, Start kStart>
REFUSION_INLINE void pointwise_block_bfloat16(const Pair* in, const Pair* weights, const float* start,
                                              std::ptrdiff_t start_stride, float* out,
                                              std::ptrdiff_t out_stride) {
    constexpr int pairs = kIn / 2;
    __m512 sums[kCount][kVectors];
    REFUSION_UNROLL
    for (int p = 0; p < kCount; ++p) {
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            sums[p][v] =
                _mm512_loadu_ps(start + (kStart == Start::kResidual ? p * start_stride : 0) + v * kLanes);
        }
    }
    for (int i = 0; i < pairs; ++i) {
        __m512bh row[kVectors];
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            row[v] = (__m512bh)_mm512_loadu_si512(weights + (i * kVectors + v) * kLanes);
        }
        REFUSION_UNROLL
        for (int p = 0; p < kCount; ++p) {
            const __m512bh value = (__m512bh)_mm512_set1_epi32(static_cast<int>(in[p * pairs + i]));
            REFUSION_UNROLL
            for (int v = 0; v < kVectors; ++v) {
                sums[p][v] = _mm512_dpbf16_ps(sums[p][v], value, row[v]);
            }
        }
    }
    REFUSION_UNROLL
    for (int p = 0; p < kCount; ++p) {
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            _mm512_storeu_ps(out + p * out_stride + v * kLanes, sums[p][v]);
        }
    }
}

// As `pointwise`, with weights of pack_pointwise_bfloat16.
template <int kIn, int kStride, int kOut, Start kStart>
void pointwise_bfloat16(const float* in, const float* weights, const float* start,
                        std::ptrdiff_t start_stride, float* out, std::ptrdiff_t out_stride,
                        std::ptrdiff_t pixels) {
    constexpr int vectors = kGroup<kOut>;
    constexpr int block = kPixels<vectors>;
    constexpr int width = vectors * kLanes;
    const auto* packed = reinterpret_cast<const Pair*>(weights);
    alignas(64) Pair rounded_pixels[block * kIn / 2];
    const auto take = [&](std::ptrdiff_t first, auto constant) {
        constexpr int count = constant;
        REFUSION_UNROLL
        for (int p = 0; p < count; ++p) {
            round_pixel<kIn>(in + (first + p) * kStride, rounded_pixels + p * (kIn / 2));
        }
        const std::ptrdiff_t skipped = kStart == Start::kResidual ? first * start_stride : 0;
        for (int group = 0; group < kOut / width; ++group) {
            pointwise_block_bfloat16<kIn, vectors, count, kStart>(
                rounded_pixels, packed + group * (kIn / 2) * width, start + skipped + group * width,
                start_stride, out + first * out_stride + group * width, out_stride);
        }
    };
    std::ptrdiff_t p = 0;
    for (; p + block <= pixels; p += block) {
        take(p, Constant<block>{});
    }
    if (p < pixels && pixels >= block) {
        take(pixels - block, Constant<block>{});  // some pixels twice, with the same result
        return;
    }
    for (; p < pixels; ++p) {
        take(p, Constant<1>{});
    }
}

// As pack_pointwise, with two inputs in the place of one; uses half of `packed`.
template <int kOut>
void pack_pointwise_bfloat16(const float* weights, std::ptrdiff_t in, float* packed) {
    constexpr int width = kGroup<kOut> * kLanes;
    auto* pairs = reinterpret_cast<Pair*>(packed);
    for (std::ptrdiff_t o = 0; o < kOut; ++o) {
        for (std::ptrdiff_t i = 0; i < in; i += 2) {
            pairs[(o / width * (in / 2) + i / 2) * width + o % width] =
                rounded(weights[o * in + i]) | rounded(weights[o * in + i + 1]) << 16;
        }
    }
}

}  // namespace refusion::REFUSION_ISA
