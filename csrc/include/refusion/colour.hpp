#pragma once

#include <cmath>
#include <cstdint>

#include "refusion/portable.hpp"

// The arithmetic of a pixel, the same on the CPU and on CUDA. Contraction to fused multiply-adds is off
// everywhere, so that all variants give the same bits.
namespace refusion::kernels {

constexpr float kPerLevel = 1.0f / 255.0f;
// OpenCV's coefficients for float YCrCb, with chroma as offsets from neutral: (Cr - t, Cb - t).
constexpr float kLumaB = 0.114f, kLumaG = 0.587f, kLumaR = 0.299f;
constexpr float kCrOfR = 0.713f, kCbOfB = 0.564f;
constexpr float kROfCr = 1.403f, kGOfCr = -0.714f, kGOfCb = -0.344f, kBOfCb = 1.773f;
// Keeps the merge of two neutral pixels from dividing by zero; the official script's value.
constexpr float kMergeEpsilon = 1e-4f;
// From here to the next power of two floats are one apart, so that adding it rounds to nearest, ties to even,
// and leaves the integer in the low bits.
constexpr float kOneApart = 12582912.0f;  // 1.5 * 2^23

// Luma of the result: (fused - low) * scale; but at least black + toe * fused, and at most
// white - shoulder * (1 - fused).
struct Stretch {
    float low;
    float scale;
    float black = 0.0f;
    float toe = 0.0f;
    float white = 255.0f;
    float shoulder = 0.0f;
};

// What is kept between values in [0, 1] and black and white, in gray levels: more than half of one, so that
// none is rounded to them.
constexpr float kEnd = 0.75f;

// Of the values low < high, which become black and white; or, with `levels` (1 or more) for the values
// beyond either, become so many gray levels less, but no more than they had before: the middle is stretched,
// and nothing beside it. Then no value in [0, 1] becomes black or white.
REFUSION_INLINE Stretch stretch_between(float low, float high, float levels) {
    if (!(levels > 0.0f)) {
        return {low, 255.0f / (high - low)};
    }
    const float below = 255.0f * low, above = 255.0f * (1.0f - high);
    const float toe = below > levels ? levels : below, shoulder = above > levels ? levels : above;
    const float scale = (255.0f - toe - shoulder) / (high - low);
    return {low - toe / scale,
            scale,
            kEnd,
            255.0f * (levels - kEnd) / (below > levels ? below : levels),
            255.0f - kEnd,
            255.0f * (levels - kEnd) / (above > levels ? above : levels)};
}

// Three channels, or the two offsets from neutral chroma, in 0..255.
struct Colour {
    float b, g, r;
};
struct Chrominance {
    float cr, cb;
};

REFUSION_INLINE float weighted_sum(float b, float g, float r) { return kLumaB * b + kLumaG * g + kLumaR * r; }

// To [0, 255]; NaN to 0, as it is not above 0.
REFUSION_INLINE float clip(float x) {
    x = x > 0.0f ? x : 0.0f;
    return x < 255.0f ? x : 255.0f;
}

// Unlike lrintf, every vector unit can do this.
REFUSION_INLINE std::uint8_t to_byte(float x) {
    return static_cast<std::uint8_t>(static_cast<std::int32_t>((clip(x) + kOneApart) - kOneApart));
}

REFUSION_INLINE float merge(float first, float second) {
    const float weight1 = std::fabs(first), weight2 = std::fabs(second);
    return (first * weight1 + second * weight2) / (weight1 + weight2 + kMergeEpsilon);
}

REFUSION_INLINE Chrominance chrominance(float b, float g, float r) {
    const float y = weighted_sum(b, g, r);
    return {kCrOfR * (r - y), kCbOfB * (b - y)};
}

REFUSION_INLINE Chrominance merged(Chrominance a, Chrominance b) {
    return {merge(a.cr, b.cr), merge(a.cb, b.cb)};
}

// A bound that is no number, as infinite values give, does not bind.
REFUSION_INLINE float stretched(float fused, Stretch stretch) {
    float y = (fused - stretch.low) * stretch.scale;
    const float least = stretch.black + stretch.toe * fused;
    const float most = stretch.white - stretch.shoulder * (1.0f - fused);
    y = y < least ? least : y;
    y = y > most ? most : y;
    return clip(y);
}

// Not clipped.
REFUSION_INLINE Colour coloured(float y, Chrominance chroma) {
    return {y + kBOfCb * chroma.cb, y + kGOfCr * chroma.cr + kGOfCb * chroma.cb, y + kROfCr * chroma.cr};
}

}  // namespace refusion::kernels
