#include "refusion/warp.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "warp_runs.hpp"

namespace refusion {
namespace {

// A share by pixel of depth that makes any depth a whole.
constexpr float kAbrupt = 1e30f;

void require_span(const Warp& warp, std::ptrdiff_t height, std::ptrdiff_t width) {
    const std::ptrdiff_t rows = warp_nodes(height), columns = warp_nodes(width);
    if (warp.rows != rows || warp.columns != columns) {
        throw std::invalid_argument("the nodes of a warp to " + std::to_string(width) + "x" +
                                    std::to_string(height) + " must be " + std::to_string(rows) +
                                    " rows of " + std::to_string(columns) + ", not " +
                                    std::to_string(warp.rows) + " of " + std::to_string(warp.columns));
    }
}

}  // namespace

FadeBox fade_box(const Warp& warp, std::ptrdiff_t height, std::ptrdiff_t width, std::ptrdiff_t source_height,
                 std::ptrdiff_t source_width) {
    require_span(warp, height, width);
    constexpr float kFar = std::numeric_limits<float>::infinity();
    float least_u = kFar, greatest_u = -kFar, least_v = kFar, greatest_v = -kFar;
    PlaceBuffers buffers;
    const auto extend = [&](std::ptrdiff_t i) {
        const float u = buffers.places.u[i], v = buffers.places.v[i];
        // Comparisons with what is no number are false.
        least_u = u < least_u ? u : least_u;
        greatest_u = u > greatest_u ? u : greatest_u;
        least_v = v < least_v ? v : least_v;
        greatest_v = v > greatest_v ? v : greatest_v;
    };
    // Between nodes nothing lies farther out than at them; beyond the last pixels nothing is seen.
    for (std::ptrdiff_t row = 0; row < warp.rows; ++row) {
        const std::ptrdiff_t y = std::min(row * kWarpStep, height - 1);
        for (std::ptrdiff_t x = 0; x < width; x += kernels::kMaxRun) {
            const std::ptrdiff_t n = std::min(kernels::kMaxRun, width - x);
            places_of_run(warp, y, x, n, buffers);
            for (std::ptrdiff_t i = 0; i < n; i += kWarpStep) {
                extend(i);
            }
            extend(n - 1);
        }
    }
    const float right = static_cast<float>(source_width) - 0.5f,
                bottom = static_cast<float>(source_height) - 0.5f;
    return {-0.5f - (least_u < -0.5f ? 0.0f : kFadePixels), -0.5f - (least_v < -0.5f ? 0.0f : kFadePixels),
            right + (greatest_u > right ? 0.0f : kFadePixels),
            bottom + (greatest_v > bottom ? 0.0f : kFadePixels)};
}

void warp_image(const Image<const std::uint8_t>& image, const Warp& warp, const Image<std::uint8_t>& out) {
    require_span(warp, out.height, out.width);
    if (out.channels != image.channels) {
        throw std::invalid_argument("out must have as many channels as the image, " +
                                    std::to_string(image.channels) + ", not " + std::to_string(out.channels));
    }
    PaddedPlanes source(image.height, image.width, image.channels);
    source.fill([&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
        std::uint8_t values[kernels::kMaxRun];
        for (std::ptrdiff_t channel = 0; channel < image.channels; ++channel) {
            gather(image.at(y, x, channel), image.column_stride, n, values);
            kernels::levels(values, n, source.at(channel, y, x));
        }
    });
    const FadeBox whole{-0.5f, -0.5f, static_cast<float>(image.width) - 0.5f,
                        static_cast<float>(image.height) - 0.5f};
    parallel_for_rows(out.height, out.width, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        PlaceBuffers buffers;
        kernels::Samples samples;
        std::uint8_t bytes[kernels::kMaxRun];
        for_each_run(begin, end, out.width, [&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
            places_of_run(warp, y, x, n, buffers);
            kernels::aim(buffers.places, n, source.plane(0), whole, kAbrupt, samples);
            for (std::ptrdiff_t channel = 0; channel < image.channels; ++channel) {
                kernels::show_bytes(source.plane(channel), samples, n, bytes);
                scatter(bytes, n, out.at(y, x, channel), out.column_stride);
            }
        });
    });
}

}  // namespace refusion
