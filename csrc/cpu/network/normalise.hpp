#pragma once

#include <cstddef>

#include "../simd.hpp"

namespace refusion::REFUSION_ISA {

// Layer norm over the channels of each pixel, without its scale and shift (which are folded into the weights
// that follow). Works on whole groups of kLanes pixels: both rows must have room for the last one.
template <int kChannels>
void normalise(const float* in, float* out, std::ptrdiff_t pixels) {
    constexpr int vectors = kChannels / kLanes;
    constexpr float kEpsilon = 1e-5f;
    for (std::ptrdiff_t p = 0; p < pixels; p += kLanes, in += kLanes * kChannels, out += kLanes * kChannels) {
        Vector rows[kLanes];
        alignas(64) float factors[kLanes];
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; ++i) {
            rows[i] = load(in + i * kChannels);
            REFUSION_UNROLL
            for (int v = 1; v < vectors; ++v) {
                rows[i] += load(in + i * kChannels + v * kLanes);
            }
        }
        store(factors, lane_sums(rows) * (1.0f / kChannels));
        // Centred before squaring: the difference of two mean squares would lose the digits of flat regions.
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; ++i) {
            rows[i] = Vector{};
            REFUSION_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const Vector centred = load(in + i * kChannels + v * kLanes) - factors[i];
                store(out + i * kChannels + v * kLanes, centred);
                rows[i] += centred * centred;
            }
        }
        store(factors, lane_sums(rows) * (1.0f / kChannels) + kEpsilon);
        for (int i = 0; i < kLanes; ++i) {
            factors[i] = 1.0f / __builtin_sqrtf(factors[i]);
        }
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; ++i) {
            REFUSION_UNROLL
            for (int v = 0; v < vectors; ++v) {
                float* place = out + i * kChannels + v * kLanes;
                store(place, load(place) * factors[i]);
            }
        }
    }
}

}  // namespace refusion::REFUSION_ISA
