#pragma once

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
    float low = 0.0f;
    float scale = 1.0f;
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

}  // namespace refusion::cuda
