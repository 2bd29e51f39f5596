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
        alignas(64) float means[kLanes], factors[kLanes];
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; ++i) {
            rows[i] = load(in + i * kChannels);
            REFUSION_UNROLL
            for (int v = 1; v < vectors; ++v) {
                rows[i] += load(in + i * kChannels + v * kLanes);
            }
        }
        store(means, lane_sums(rows) * (1.0f / kChannels));
        keep_in_memory(means);
        // Centred before squaring: the difference of two mean squares would lose the digits of flat regions.
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; ++i) {
            rows[i] = Vector{};
            REFUSION_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const Vector centred = load(in + i * kChannels + v * kLanes) - means[i];
                rows[i] += centred * centred;
            }
        }
        store(factors, 1.0f / square_root(lane_sums(rows) * (1.0f / kChannels) + kEpsilon));
        keep_in_memory(factors);
        REFUSION_UNROLL
        for (int i = 0; i < kLanes; ++i) {
            REFUSION_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const std::ptrdiff_t place = i * kChannels + v * kLanes;
                store(out + place, (load(in + place) - means[i]) * factors[i]);
            }
        }
    }
}

}  // namespace refusion::REFUSION_ISA
