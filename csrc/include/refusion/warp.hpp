#pragma once

#include <cstddef>
#include <cstdint>

#include "refusion/image.hpp"

namespace refusion {

// Distance of a warp's nodes, in pixels of the output.
constexpr std::ptrdiff_t kWarpStep = 8;
// Over so many source pixels inside its border a warped source fades out, where the output sees beyond it.
constexpr float kFadePixels = 4.0f;

// Where the pixels of an output lie in a source image: x and y of the output's pixels (8 * column, 8 * row),
// bilinear between them; the middle of the source's first pixel is (0, 0). Where a place lies more than half
// a pixel outside of the source, or is no number, the source shows nothing.
struct Warp {
    const float* nodes = nullptr;  // (rows, columns, 2), without gaps
    std::ptrdiff_t rows = 0;       // those that span the output: see warp_nodes
    std::ptrdiff_t columns = 0;
};

// How many nodes span so many pixels.
constexpr std::ptrdiff_t warp_nodes(std::ptrdiff_t pixels) {
    return (pixels - 1 + kWarpStep - 1) / kWarpStep + 1;
}

// Box in the source, pixels: the source's share of the output is 0 outside, 1 from kFadePixels inside on.
struct FadeBox {
    float left;
    float top;
    float right;
    float bottom;
};

// The source's border, moved out of reach at each side that an output of that size sees nothing beyond.
// Throws std::invalid_argument if the nodes do not span the output.
FadeBox fade_box(const Warp& warp, std::ptrdiff_t height, std::ptrdiff_t width, std::ptrdiff_t source_height,
                 std::ptrdiff_t source_width);

// Writes the image as it looks in the geometry of the warp's output, sampled bilinearly, black outside.
// Throws std::invalid_argument if channels differ or the nodes do not span the output.
void warp_image(const Image<const std::uint8_t>& image, const Warp& warp, const Image<std::uint8_t>& out);

}  // namespace refusion
