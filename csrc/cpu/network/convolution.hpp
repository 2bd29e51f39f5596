#pragma once

#include <cstddef>

#include "activation.hpp"
#include "kernels.hpp"
#include "pointwise.hpp"

// The network's full 3x3 convolutions: 1 to 16 channels at its start, 32 to 16 and 16 to 1 at its end. Rows
// of input begin one pixel to the left.
namespace refusion::REFUSION_ISA {

// `weights` are (9, 16).
inline void input_convolution(const ThreeRows& rows, const float* weights, float* out,
                              std::ptrdiff_t out_stride, std::ptrdiff_t pixels) {
    constexpr int vectors = kFeatures / kLanes;
    for (int v = 0; v < vectors; ++v) {
        Vector w[9];
        REFUSION_UNROLL
        for (int tap = 0; tap < 9; ++tap) {
            w[tap] = load(weights + tap * kFeatures + v * kLanes);
        }
        for (std::ptrdiff_t x = 0; x < pixels; ++x) {
            Vector sum{};
            REFUSION_UNROLL
            for (int tap = 0; tap < 9; ++tap) {
                sum += w[tap] * rows[tap / 3][x + tap % 3];
            }
            store(out + x * out_stride + v * kLanes, sum);
        }
    }
}

template <int kVectors, int kCount>
REFUSION_INLINE void head_block(const ThreeRows& rows, std::ptrdiff_t x, const float* weights, float* out) {
    constexpr int in = 2 * kFeatures;
    Vector sums[kCount][kVectors] = {};
    for (int tap = 0; tap < 9; ++tap) {
        const float* source = rows[tap / 3] + (x + tap % 3) * in;
        const float* tap_weights = weights + tap * in * kVectors * kLanes;
        for (int i = 0; i < in; ++i) {
            Vector row[kVectors];
            REFUSION_UNROLL
            for (int v = 0; v < kVectors; ++v) {
                row[v] = load(tap_weights + (i * kVectors + v) * kLanes);
            }
            REFUSION_UNROLL
            for (int p = 0; p < kCount; ++p) {
                const Vector value = splat(source[p * in + i]);
                REFUSION_UNROLL
                for (int v = 0; v < kVectors; ++v) {
                    sums[p][v] += value * row[v];
                }
            }
        }
    }
    constexpr float kSlope = 0.01f;
    REFUSION_UNROLL
    for (int p = 0; p < kCount; ++p) {
        REFUSION_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            const Vector sum = sums[p][v];
            store(out + (x + p) * kFeatures + v * kLanes, maximum(sum, sum * kSlope));
        }
    }
}

// 32 to 16 channels, then a leaky ReLU. `weights` are packed as for 1x1 convolutions, (groups, 9, 32, group).
inline void head_convolution(const ThreeRows& rows, const float* weights, float* out, std::ptrdiff_t pixels) {
    constexpr int vectors = kGroup<kFeatures>;
    constexpr int count = kPixels<vectors>;
    for (int group = 0; group < kFeatures / (vectors * kLanes); ++group) {
        const float* group_weights = weights + group * 9 * 2 * kFeatures * vectors * kLanes;
        float* group_out = out + group * vectors * kLanes;
        std::ptrdiff_t x = 0;
        for (; x + count <= pixels; x += count) {
            head_block<vectors, count>(rows, x, group_weights, group_out);
        }
        if (x < pixels && pixels >= count) {
            head_block<vectors, count>(rows, pixels - count, group_weights, group_out);
            continue;
        }
        for (; x < pixels; ++x) {
            head_block<vectors, 1>(rows, x, group_weights, group_out);
        }
    }
}

// 16 channels to the fused luma: convolution and sigmoid. `weights` are (9, 16). Works on whole groups of
// kLanes pixels: the rows must have room for the last one, as must `out`.
inline void output_convolution(const ThreeRows& rows, const float* weights, float* out,
                               std::ptrdiff_t pixels) {
    constexpr int vectors = kFeatures / kLanes;
    for (std::ptrdiff_t x = 0; x < pixels; x += kLanes) {
        Vector sums[kLanes];
        for (int p = 0; p < kLanes; ++p) {
            Vector sum{};
            REFUSION_UNROLL
            for (int tap = 0; tap < 9; ++tap) {
                const float* source = rows[tap / 3] + (x + p + tap % 3) * kFeatures;
                REFUSION_UNROLL
                for (int v = 0; v < vectors; ++v) {
                    sum += load(source + v * kLanes) * load(weights + tap * kFeatures + v * kLanes);
                }
            }
            sums[p] = sum;
        }
        store(out + x, sigmoid(lane_sums(sums)));
    }
}

}  // namespace refusion::REFUSION_ISA
