#pragma once

#include <cstdint>
#include <utility>

#include "refusion/image.hpp"

namespace refusion {

// Least and greatest finite value; (0, 0) if there is none.
std::pair<float, float> value_range(const Image<const float>& fused);

// Whether the image has one channel, or three that are equal.
bool is_gray(const Image<const std::uint8_t>& image);

}  // namespace refusion
