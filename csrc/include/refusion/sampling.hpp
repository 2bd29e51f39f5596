#pragma once

#include "refusion/portable.hpp"

// The arithmetic of a warped pixel, the same on the CPU and on CUDA; see colour.hpp.
namespace refusion::kernels {

REFUSION_INLINE float between(float first, float second, float share) {
    return first + share * (second - first);
}

// To [0, last]; NaN to 0, as it is not above 0.
REFUSION_INLINE float inside(float place, float last) {
    place = place > 0.0f ? place : 0.0f;
    return place < last ? place : last;
}

// Share of a source by the distance to the nearer of two sides, in [0, 1]; NaN gives 0.
REFUSION_INLINE float share_between(float place, float first, float last, float per_pixel) {
    const float before = place - first, after = last - place;
    return inside((before < after ? before : after) * per_pixel, 1.0f);
}

}  // namespace refusion::kernels
