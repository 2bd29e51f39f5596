#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "refusion/runs.hpp"
#include "refusion/thread_pool.hpp"
#include "refusion/warp.hpp"
#include "refusion/warp_kernels.hpp"

// Runs of a warped image. The source is small, and every pixel of it is sampled several times: it is turned
// into float planes before, so that a sample is four loads.
namespace refusion {

class PaddedPlanes {
  public:
    PaddedPlanes(std::ptrdiff_t height, std::ptrdiff_t width, std::ptrdiff_t channels)
        : height_(height),
          width_(width),
          channels_(channels),
          values_(new float[static_cast<std::size_t>(channels * (height + 1) * (width + 1))]) {}

    // Calls write(y, x, n) for runs that cover the image; each writes its values to at(channel, y, x).
    template <class Write>
    void fill(const Write& write) {
        parallel_for_rows(height_, width_, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            for_each_run(begin, end, width_, write);
            for (std::ptrdiff_t channel = 0; channel < channels_; ++channel) {
                for (std::ptrdiff_t y = begin; y < end; ++y) {
                    *at(channel, y, width_) = *at(channel, y, width_ - 1);
                }
                if (end == height_) {
                    std::copy_n(at(channel, height_ - 1, 0), width_ + 1, at(channel, height_, 0));
                }
            }
        });
    }

    float* at(std::ptrdiff_t channel, std::ptrdiff_t y, std::ptrdiff_t x) const {
        return values_.get() + (channel * (height_ + 1) + y) * (width_ + 1) + x;
    }

    kernels::PaddedPlane plane(std::ptrdiff_t channel) const {
        return {at(channel, 0, 0), static_cast<std::int32_t>(width_ + 1), static_cast<float>(width_ - 1),
                static_cast<float>(height_ - 1)};
    }

  private:
    std::ptrdiff_t height_;
    std::ptrdiff_t width_;
    std::ptrdiff_t channels_;
    std::unique_ptr<float[]> values_;
};

struct PlaceBuffers {
    kernels::NodeLine line;
    kernels::Places places;
};

// Writes the places of the output's pixels (x to x + n - 1, y); x is a multiple of the warp's step.
inline void places_of_run(const Warp& warp, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n,
                          PlaceBuffers& buffers) {
    const std::ptrdiff_t row = y / kWarpStep, first = x / kWarpStep;
    const std::ptrdiff_t cells = (n + kWarpStep - 1) / kWarpStep;
    const auto nodes = [&](std::ptrdiff_t row) {
        return warp.nodes + 2 * (std::min(row, warp.rows - 1) * warp.columns + first);
    };
    const std::ptrdiff_t count = std::min(cells + 1, warp.columns - first);
    const float down = static_cast<float>(y % kWarpStep) / static_cast<float>(kWarpStep);
    kernels::between_rows(nodes(row), nodes(row + 1), down, 2 * count, buffers.line);
    if (count == cells) {  // the last column lies on the last node: any next one will do, it has no share
        std::copy_n(buffers.line + 2 * (count - 1), 2, buffers.line + 2 * count);
    }
    kernels::places_of_cells(buffers.line, cells, buffers.places);
}

}  // namespace refusion
