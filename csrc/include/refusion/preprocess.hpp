#pragma once

#include <cstdint>

#include "refusion/image.hpp"

namespace refusion {

// Writes the luma of both sources / 255, not rounded, into the two channels of out.
// Throws std::invalid_argument if the three differ in size.
void preprocess(const Image<const std::uint8_t>& a, const Image<const std::uint8_t>& b,
                const Image<float>& out);

}  // namespace refusion
