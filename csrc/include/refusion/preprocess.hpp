#pragma once

#include <cstdint>

#include "refusion/image.hpp"
#include "refusion/warp.hpp"

namespace refusion {

// Writes the luma of both sources / 255, not rounded, into the two channels of out.
// Throws std::invalid_argument if the three differ in size.
void preprocess(const Image<const std::uint8_t>& a, const Image<const std::uint8_t>& b,
                const Image<float>& out);

// The same where the warp maps b and out to a, which may be of another size. Where the warp shows nothing of
// a, b's luma stands in: the network then sees two equal sources. The one fades into the other.
// Throws std::invalid_argument if b and out differ in size, or the nodes do not span them.
void preprocess(const Image<const std::uint8_t>& a, const Warp& warp, const Image<const std::uint8_t>& b,
                const Image<float>& out);

}  // namespace refusion
