#pragma once

#include <cstdint>

#include "refusion/chroma.hpp"
#include "refusion/image.hpp"

namespace refusion {

// Writes the finished picture: luma (fused - low) / (high - low), clipped, with that chroma; NaN is black.
// With a shoulder of 1 to 127, values in [0, 1] beyond low or high share so many gray levels at either end.
// `out` has one channel for Chroma::kNone, else three (BGR). It may be a or b itself, but overlap them no
// other way. Throws std::invalid_argument if sizes or channels do not fit, or if low < high does not hold
// for two finite numbers.
void postprocess(const Image<const float>& fused, const Image<const std::uint8_t>& a,
                 const Image<const std::uint8_t>& b, Chroma chroma, float low, float high,
                 const Image<std::uint8_t>& out, float shoulder = 0.0f);

}  // namespace refusion
