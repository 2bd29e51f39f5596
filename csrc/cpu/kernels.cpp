#include "refusion/kernels.hpp"

#include <cfloat>
#include <cmath>

// REFUSION_TARGET_CLONES lists the variants; CMake defines it where the compiler and the loader can do it.
// Contraction to fused multiply-adds is off, so that all variants give the same bits.
#if defined(REFUSION_TARGET_CLONES)
#define REFUSION_MULTIVERSION __attribute__((target_clones(REFUSION_TARGET_CLONES)))
#else
#define REFUSION_MULTIVERSION
#endif
#define REFUSION_RESTRICT __restrict
// A helper that is not inlined would be compiled for the baseline alone.
#if defined(__GNUC__)
#define REFUSION_INLINE inline __attribute__((always_inline))
#else
#define REFUSION_INLINE inline
#endif

namespace refusion::kernels {
namespace {

constexpr float kPerLevel = 1.0f / 255.0f;
// OpenCV's coefficients for float YCrCb, with chroma as offsets from neutral: (Cr - t, Cb - t).
constexpr float kLumaB = 0.114f, kLumaG = 0.587f, kLumaR = 0.299f;
constexpr float kCrOfR = 0.713f, kCbOfB = 0.564f;
constexpr float kROfCr = 1.403f, kGOfCr = -0.714f, kGOfCb = -0.344f, kBOfCb = 1.773f;
// Keeps the merge of two neutral pixels from dividing by zero; the official script's value.
constexpr float kMergeEpsilon = 1e-4f;

REFUSION_INLINE float weighted_sum(float b, float g, float r) { return kLumaB * b + kLumaG * g + kLumaR * r; }

// To [0, 255]; NaN to 0, as it is not above 0.
REFUSION_INLINE float clip(float x) {
    x = x > 0.0f ? x : 0.0f;
    return x < 255.0f ? x : 255.0f;
}

// Clips and rounds to nearest, ties to even. Next to 1.5 * 2^23 floats are one apart, so that adding it
// rounds as the processor does; unlike lrintf, every vector unit can do that.
REFUSION_INLINE std::uint8_t to_byte(float x) {
    constexpr float kOneApart = 12582912.0f;
    return static_cast<std::uint8_t>(static_cast<std::int32_t>((clip(x) + kOneApart) - kOneApart));
}

REFUSION_INLINE float merge(float first, float second) {
    const float weight1 = std::fabs(first), weight2 = std::fabs(second);
    return (first * weight1 + second * weight2) / (weight1 + weight2 + kMergeEpsilon);
}

}  // namespace

REFUSION_MULTIVERSION
void deinterleave(const std::uint8_t* REFUSION_RESTRICT pixels, std::ptrdiff_t n,
                  Bgr& REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out.b[i] = pixels[3 * i];
        out.g[i] = pixels[3 * i + 1];
        out.r[i] = pixels[3 * i + 2];
    }
}

REFUSION_MULTIVERSION
void interleave(const Bgr& REFUSION_RESTRICT pixels, std::ptrdiff_t n, std::uint8_t* REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[3 * i] = pixels.b[i];
        out[3 * i + 1] = pixels.g[i];
        out[3 * i + 2] = pixels.r[i];
    }
}

REFUSION_MULTIVERSION
void luma_of_bgr(const Bgr& REFUSION_RESTRICT pixels, std::ptrdiff_t n, float* REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[i] = weighted_sum(pixels.b[i], pixels.g[i], pixels.r[i]) * kPerLevel;
    }
}

REFUSION_MULTIVERSION
void luma_of_gray(const std::uint8_t* REFUSION_RESTRICT pixels, std::ptrdiff_t n,
                  float* REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[i] = static_cast<float>(pixels[i]) * kPerLevel;
    }
}

REFUSION_MULTIVERSION
bool all_gray(const Bgr& pixels, std::ptrdiff_t n) {
    std::uint8_t differences = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        differences |= (pixels.b[i] ^ pixels.g[i]) | (pixels.g[i] ^ pixels.r[i]);
    }
    return differences == 0;
}

REFUSION_MULTIVERSION
void extend_range(const float* REFUSION_RESTRICT values, std::ptrdiff_t n,
                  RangeLanes& REFUSION_RESTRICT range) {
    const auto extend = [&range](std::ptrdiff_t lane, float value) {
        const bool finite = std::fabs(value) <= FLT_MAX;
        range.low[lane] = (finite & (value < range.low[lane])) ? value : range.low[lane];
        range.high[lane] = (finite & (value > range.high[lane])) ? value : range.high[lane];
    };
    std::ptrdiff_t i = 0;
    for (; i + RangeLanes::kLanes <= n; i += RangeLanes::kLanes) {
        for (std::ptrdiff_t lane = 0; lane < RangeLanes::kLanes; ++lane) {
            extend(lane, values[i + lane]);
        }
    }
    for (std::ptrdiff_t lane = 0; i < n; ++i, ++lane) {
        extend(lane, values[i]);
    }
}

REFUSION_MULTIVERSION
void finish_gray(const float* REFUSION_RESTRICT fused, std::ptrdiff_t n, Stretch stretch,
                 std::uint8_t* REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[i] = to_byte((fused[i] - stretch.low) * stretch.scale);
    }
}

REFUSION_MULTIVERSION
void finish_one(const float* REFUSION_RESTRICT fused, const Bgr& REFUSION_RESTRICT source, std::ptrdiff_t n,
                Stretch stretch, Bgr& REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const float b = source.b[i], r = source.r[i];
        const float y_source = weighted_sum(b, source.g[i], r);
        const float cr = kCrOfR * (r - y_source), cb = kCbOfB * (b - y_source);
        const float y = clip((fused[i] - stretch.low) * stretch.scale);
        out.b[i] = to_byte(y + kBOfCb * cb);
        out.g[i] = to_byte(y + kGOfCr * cr + kGOfCb * cb);
        out.r[i] = to_byte(y + kROfCr * cr);
    }
}

REFUSION_MULTIVERSION
void finish_both(const float* REFUSION_RESTRICT fused, const Bgr& REFUSION_RESTRICT a,
                 const Bgr& REFUSION_RESTRICT b, std::ptrdiff_t n, Stretch stretch,
                 Bgr& REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const float blue_a = a.b[i], red_a = a.r[i], blue_b = b.b[i], red_b = b.r[i];
        const float y_a = weighted_sum(blue_a, a.g[i], red_a), y_b = weighted_sum(blue_b, b.g[i], red_b);
        const float cr = merge(kCrOfR * (red_a - y_a), kCrOfR * (red_b - y_b));
        const float cb = merge(kCbOfB * (blue_a - y_a), kCbOfB * (blue_b - y_b));
        const float y = clip((fused[i] - stretch.low) * stretch.scale);
        out.b[i] = to_byte(y + kBOfCb * cb);
        out.g[i] = to_byte(y + kGOfCr * cr + kGOfCb * cb);
        out.r[i] = to_byte(y + kROfCr * cr);
    }
}

}  // namespace refusion::kernels
