#pragma once

#include <cstddef>

#include "../simd.hpp"
#include "kernels.hpp"

namespace refusion::REFUSION_ISA {

// Copies kChannels of each pixel of the map to scratch memory without gaps. What is copied next is asked for
// meanwhile: `next` is the same place one row down, or null. The processor does not foresee it, because
// strips are short.
template <int kChannels>
void gather(const float* from, const float* next, float* to, std::ptrdiff_t pixels) {
    constexpr int cache_line = 16;
    for (std::ptrdiff_t p = 0; p < pixels; ++p) {
        REFUSION_UNROLL
        for (int c = 0; c < kChannels; c += kLanes) {
            if (c % cache_line == 0 && next != nullptr) {
                __builtin_prefetch(next + p * kPixelFloats + c);
            }
            store(to + p * kChannels + c, load(from + p * kPixelFloats + c));
        }
    }
}

}  // namespace refusion::REFUSION_ISA
