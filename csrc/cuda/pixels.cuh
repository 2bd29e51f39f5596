#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "refusion/colour.hpp"
#include "refusion/cuda_image.hpp"
#include "words.cuh"

// Pixels of a source image, on the 8-bit scale.
namespace refusion::cuda {

using kernels::Colour;

// CudaImage as kernels take it.
struct Source {
    const unsigned char* data = nullptr;
    std::ptrdiff_t row_bytes = 0;
    int height = 0;
    int width = 0;
    int channels = 1;
    bool has_two_bytes = false;
    bool has_levels = false;
    bool has_warp = false;
    float low = 0.0f;
    float scale = 1.0f;
    float warp[9] = {};
};

inline Source source_of(const CudaImage& image) {
    Source source;
    source.data = reinterpret_cast<const unsigned char*>(image.pointer);
    source.row_bytes = image.row_distance();
    source.height = static_cast<int>(image.height);
    source.width = static_cast<int>(image.width);
    source.channels = image.channels;
    source.has_two_bytes = image.bits == 16;
    source.has_levels = image.has_levels();
    source.low = image.low;
    source.scale = 255.0f / (image.high - image.low);
    source.has_warp = image.warp.has_value();
    for (int i = 0; source.has_warp && i < 9; ++i) {
        source.warp[i] = (*image.warp)[static_cast<std::size_t>(i)];
    }
    return source;
}

inline bool has_gapless_rows(const CudaImage& image) {
    return image.row_distance() == image.width * image.pixel_bytes();
}

inline bool is_aligned(std::uintptr_t address, std::size_t bytes) { return address % bytes == 0; }

REFUSION_INLINE float levelled(float raw, const Source& source) {
    return kernels::clip((raw - source.low) * source.scale);
}

REFUSION_INLINE float channel_at(const Source& source, int x, int y, int channel) {
    const unsigned char* const row = source.data + y * source.row_bytes;
    const int index = x * source.channels + channel;
    const float raw = source.has_two_bytes ? reinterpret_cast<const std::uint16_t*>(row)[index] : row[index];
    return source.has_levels ? levelled(raw, source) : raw;
}

REFUSION_INLINE Colour colour_at(const Source& source, int x, int y) {
    const float first = channel_at(source, x, y, 0);
    if (source.channels == 1) {
        return {first, first, first};
    }
    return {first, channel_at(source, x, y, 1), channel_at(source, x, y, 2)};
}

REFUSION_INLINE float luma_at(const Source& source, int x, int y) {
    if (source.channels == 1) {
        return channel_at(source, x, y, 0);
    }
    const Colour colour = colour_at(source, x, y);
    return kernels::weighted_sum(colour.b, colour.g, colour.r);
}

// Where an output pixel lies in the source: between four pixels.
struct Place {
    int x0, y0, x1, y1;
    float right, down;  // shares of x1 and y1
};

// The homography, as OpenCV's warpPerspective with WARP_INVERSE_MAP applies it: where its denominator is
// zero, the place is (0, 0).
REFUSION_INLINE Place place_of(const Source& source, int x, int y) {
    const float* const h = source.warp;
    const float column = static_cast<float>(x), row = static_cast<float>(y);
    const float denominator = std::fmaf(h[6], column, std::fmaf(h[7], row, h[8]));
    const float per = denominator != 0.0f ? 1.0f / denominator : 0.0f;
    float u = std::fmaf(h[0], column, std::fmaf(h[1], row, h[2])) * per;
    float v = std::fmaf(h[3], column, std::fmaf(h[4], row, h[5])) * per;
    // Staying inside repeats the border; what is no number goes to 0.
    u = std::fmin(std::fmax(u, 0.0f), static_cast<float>(source.width - 1));
    v = std::fmin(std::fmax(v, 0.0f), static_cast<float>(source.height - 1));
    const int x0 = static_cast<int>(u), y0 = static_cast<int>(v);
    return {x0,
            y0,
            x0 + 1 < source.width ? x0 + 1 : x0,
            y0 + 1 < source.height ? y0 + 1 : y0,
            u - static_cast<float>(x0),
            v - static_cast<float>(y0)};
}

REFUSION_INLINE float between(const Place& place, float v00, float v10, float v01, float v11) {
    const float top = v00 + place.right * (v10 - v00), bottom = v01 + place.right * (v11 - v01);
    return top + place.down * (bottom - top);
}

REFUSION_INLINE float sampled_luma(const Source& source, int x, int y) {
    if (!source.has_warp) {
        return luma_at(source, x, y);
    }
    const Place p = place_of(source, x, y);
    return between(p, luma_at(source, p.x0, p.y0), luma_at(source, p.x1, p.y0), luma_at(source, p.x0, p.y1),
                   luma_at(source, p.x1, p.y1));
}

REFUSION_INLINE Colour sampled_colour(const Source& source, int x, int y) {
    if (!source.has_warp) {
        return colour_at(source, x, y);
    }
    const Place p = place_of(source, x, y);
    const Colour c00 = colour_at(source, p.x0, p.y0), c10 = colour_at(source, p.x1, p.y0);
    const Colour c01 = colour_at(source, p.x0, p.y1), c11 = colour_at(source, p.x1, p.y1);
    return {between(p, c00.b, c10.b, c01.b, c11.b), between(p, c00.g, c10.g, c01.g, c11.g),
            between(p, c00.r, c10.r, c01.r, c11.r)};
}

}  // namespace refusion::cuda
