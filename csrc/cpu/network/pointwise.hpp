#pragma once

#include <cstddef>

#include "../simd.hpp"

// 1x1 convolutions over rows of pixels with the channels innermost.
namespace refusion::REFUSION_ISA {

// Output channels that are computed together: as many vectors as leave registers for several pixels.
template <int kOut>
inline constexpr int kGroup = [] {
    constexpr int most = kRegisters >= 32 ? 4 : 2;
    int vectors = kOut / kLanes;
    while (vectors > most) {
        vectors /= 2;
    }
    return vectors;
}();

// Pixels that share one load of the weights.
template <int kVectors>
inline constexpr int kPixels = (kRegisters >= 32 ? 24 : 12) / (kVectors == 1 ? 2 : kVectors);

// What a sum starts from.
enum class Start { kBias, kResidual };

template <int kIn, int kStride, int kVectors, int kCount, Start kStart>
REFUSION_INLINE void pointwise_block(const float* in, const float* weights, const float* start,
                                     std::ptrdiff_t start_stride, float* out, std::ptrdiff_t out_stride) {
    Vector sums[kCount][kVectors];
    REFUSION_UNROLL
    for (int p = 0; p < kCount; ++p) {
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            sums[p][v] = load(start + (kStart == Start::kResidual ? p * start_stride : 0) + v * kLanes);
        }
    }
    for (int i = 0; i < kIn; ++i) {
        Vector row[kVectors];
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            row[v] = load(weights + (i * kVectors + v) * kLanes);
        }
        REFUSION_UNROLL
        for (int p = 0; p < kCount; ++p) {
            const Vector value = splat(in[p * kStride + i]);
            REFUSION_UNROLL
            for (int v = 0; v < kVectors; ++v) {
                sums[p][v] += value * row[v];
            }
        }
    }
    REFUSION_UNROLL
    for (int p = 0; p < kCount; ++p) {
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            store(out + p * out_stride + v * kLanes, sums[p][v]);
        }
    }
}

// out[p] = start + weights in[p], for each pixel p. `weights` as pack_pointwise lays them out. `start` is a
// bias of kOut values, or with kResidual a row of pixels, which may not overlap `out`.
template <int kIn, int kStride, int kOut, Start kStart>
void pointwise(const float* in, const float* weights, const float* start, std::ptrdiff_t start_stride,
               float* out, std::ptrdiff_t out_stride, std::ptrdiff_t pixels) {
    constexpr int vectors = kGroup<kOut>;
    constexpr int block = kPixels<vectors>;
    for (int group = 0; group < kOut / (vectors * kLanes); ++group) {
        const float* group_weights = weights + group * kIn * vectors * kLanes;
        const float* group_start = start + group * vectors * kLanes;
        float* group_out = out + group * vectors * kLanes;
        const auto at = [&](std::ptrdiff_t p) {
            const std::ptrdiff_t skipped = kStart == Start::kResidual ? p * start_stride : 0;
            pointwise_block<kIn, kStride, vectors, block, kStart>(in + p * kStride, group_weights,
                                                                  group_start + skipped, start_stride,
                                                                  group_out + p * out_stride, out_stride);
        };
        std::ptrdiff_t p = 0;
        for (; p + block <= pixels; p += block) {
            at(p);
        }
        if (p < pixels && pixels >= block) {
            at(pixels - block);  // some pixels twice, with the same result
            continue;
        }
        for (; p < pixels; ++p) {
            const std::ptrdiff_t skipped = kStart == Start::kResidual ? p * start_stride : 0;
            pointwise_block<kIn, kStride, vectors, 1, kStart>(in + p * kStride, group_weights,
                                                              group_start + skipped, start_stride,
                                                              group_out + p * out_stride, out_stride);
        }
    }
}

// From (out, in) as PyTorch has it, to groups of output channels with the inputs in order.
template <int kOut>
void pack_pointwise(const float* weights, std::ptrdiff_t in, float* packed) {
    constexpr int width = kGroup<kOut> * kLanes;
    for (std::ptrdiff_t o = 0; o < kOut; ++o) {
        for (std::ptrdiff_t i = 0; i < in; ++i) {
            packed[(o / width * in + i) * width + o % width] = weights[o * in + i];
        }
    }
}

}  // namespace refusion::REFUSION_ISA
