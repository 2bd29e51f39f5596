#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace refusion {

// An image in device memory, or in mapped host memory, that somebody else owns: pixels interleaved (BGR),
// rows row_bytes apart.
struct CudaImage {
    std::uintptr_t pointer = 0;
    std::ptrdiff_t height = 0;
    std::ptrdiff_t width = 0;
    int channels = 1;              // 1 (gray) or 3 (BGR)
    int bits = 8;                  // 8 or 16 a channel
    std::ptrdiff_t row_bytes = 0;  // 0: rows without gaps
    // The values that become 0 and 255 on the 8-bit scale, clipped outside.
    float low = 0.0f;
    float high = 255.0f;

    std::ptrdiff_t pixel_bytes() const { return channels * bits / 8; }
    std::ptrdiff_t row_distance() const { return row_bytes ? row_bytes : width * pixel_bytes(); }
    bool has_levels() const { return bits != 8 || low != 0.0f || high != 255.0f; }
    std::string size_text() const { return std::to_string(width) + "x" + std::to_string(height); }
};

// The most pixels of an image: kernels count them, and bytes of a row, in 32 bits.
constexpr std::ptrdiff_t kMaxCudaPixels = std::ptrdiff_t{1} << 28;

// Throws std::invalid_argument, with the name in it, if a number is out of range.
void require_valid(const CudaImage& image, const char* name);

}  // namespace refusion
