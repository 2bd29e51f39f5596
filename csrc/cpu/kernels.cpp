#include "refusion/kernels.hpp"

#include <cfloat>
#include <cmath>

#include "multiversion.hpp"
#include "refusion/colour.hpp"

namespace refusion::kernels {

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
        out[i] = to_byte(stretched(fused[i], stretch));
    }
}

REFUSION_MULTIVERSION
void finish_one(const float* REFUSION_RESTRICT fused, const Bgr& REFUSION_RESTRICT source, std::ptrdiff_t n,
                Stretch stretch, Bgr& REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const Chrominance chroma = chrominance(source.b[i], source.g[i], source.r[i]);
        const Colour colour = coloured(stretched(fused[i], stretch), chroma);
        out.b[i] = to_byte(colour.b);
        out.g[i] = to_byte(colour.g);
        out.r[i] = to_byte(colour.r);
    }
}

REFUSION_MULTIVERSION
void finish_both(const float* REFUSION_RESTRICT fused, const Bgr& REFUSION_RESTRICT a,
                 const Bgr& REFUSION_RESTRICT b, std::ptrdiff_t n, Stretch stretch,
                 Bgr& REFUSION_RESTRICT out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const Chrominance chroma =
            merged(chrominance(a.b[i], a.g[i], a.r[i]), chrominance(b.b[i], b.g[i], b.r[i]));
        const Colour colour = coloured(stretched(fused[i], stretch), chroma);
        out.b[i] = to_byte(colour.b);
        out.g[i] = to_byte(colour.g);
        out.r[i] = to_byte(colour.r);
    }
}

}  // namespace refusion::kernels
