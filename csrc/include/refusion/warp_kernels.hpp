#pragma once

#include <cstddef>
#include <cstdint>

#include "refusion/kernels.hpp"
#include "refusion/warp.hpp"

// The inner loops of a warp, compiled as those of kernels.hpp are.
namespace refusion::kernels {

// Nodes that a run lies between: x and y of each.
constexpr std::ptrdiff_t kMaxRunNodes = kMaxRun / kWarpStep + 1;
using NodeLine = float[2 * kMaxRunNodes];

// Where the pixels of a run lie in the source.
struct Places {
    alignas(64) float u[kMaxRun];
    alignas(64) float v[kMaxRun];
};

// The same, as it is sampled: the pixel above and to the left, the shares of the next ones, and the share of
// the source in the result.
struct Samples {
    alignas(64) std::int32_t index[kMaxRun];
    alignas(64) float right[kMaxRun];
    alignas(64) float down[kMaxRun];
    alignas(64) float share[kMaxRun];
};

// A plane of the source with its last row and column twice, so that every pixel has a next one.
struct PaddedPlane {
    const float* data;
    std::int32_t row_stride;
    float last_x;
    float last_y;
};

// Between two rows of nodes: count numbers, `down` of the way to the lower.
void between_rows(const float* upper, const float* lower, float down, std::ptrdiff_t count, float* out);

// Places of whole cells: 8 pixels from each node on, one node more than cells.
void places_of_cells(const float* nodes, std::ptrdiff_t cells, Places& out);

// per_pixel: how much of a share each pixel of depth inside the box gives.
void aim(const Places& places, std::ptrdiff_t n, const PaddedPlane& plane, const FadeBox& box,
         float per_pixel, Samples& out);

// The source's samples faded into what stands in for it.
void show_faded(const PaddedPlane& plane, const Samples& samples, std::ptrdiff_t n, const float* instead,
                float* out);

// Samples rounded to gray levels, 0 where the source has no share.
void show_bytes(const PaddedPlane& plane, const Samples& samples, std::ptrdiff_t n, std::uint8_t* out);

// Gray levels as they are.
void levels(const std::uint8_t* values, std::ptrdiff_t n, float* out);

}  // namespace refusion::kernels
