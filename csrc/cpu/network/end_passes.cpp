#include <algorithm>
#include <cstring>

#include "passes.hpp"

namespace refusion {
namespace {

// Calls body(y) for the rows of a band, after prepare(row) for each row that a 3x3 convolution of them reads.
template <class Prepare, class Body>
void walk(Span band, Prepare prepare, Body body) {
    prepare(band.begin - 1);
    prepare(band.begin);
    for (std::ptrdiff_t y = band.begin; y < band.end; ++y) {
        prepare(y + 1);
        body(y);
    }
}

// Copies the pixels of a strip, and `halo` on either side, to scratch memory; what lies outside is zero.
void copy_padded(const float* row, Span strip, std::ptrdiff_t width, std::ptrdiff_t halo,
                 std::ptrdiff_t channels, float* to) {
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(strip.begin - halo, 0);
    const std::ptrdiff_t end = std::min(strip.end + halo, width);
    std::memcpy(to + (begin - (strip.begin - halo)) * channels, row + begin * channels,
                static_cast<std::size_t>((end - begin) * channels) * sizeof(float));
    Margins(strip, width, halo, channels).clear(to);
}

void convolve_inputs(const Pass& pass, const float* source, const std::vector<float>& weights, Span band,
                     Span strip, std::ptrdiff_t channel) {
    const std::ptrdiff_t height = pass.map.height(), width = pass.map.width();
    ScratchPool::Lease lease = pass.scratch.lease();
    const RowRing rows(lease, 1);
    walk(
        band,
        [&](std::ptrdiff_t y) {
            if (y < 0 || y >= height) {
                std::fill_n(rows.row(y), strip.size() + 2, 0.0f);
            } else {
                copy_padded(source + y * width, strip, width, 1, 1, rows.row(y));
            }
        },
        [&](std::ptrdiff_t y) {
            float* const out = pass.map.row(y) + strip.begin * kPixelFloats + channel;
            pass.kernels.input_convolution(rows.around(y), weights.data(), out, kPixelFloats, strip.size());
        });
}

void convolve_outputs(const Pass& pass, const Layers& layers, Span band, Span strip, float* fused) {
    const std::ptrdiff_t height = pass.map.height(), width = pass.map.width();
    ScratchPool::Lease lease = pass.scratch.lease();
    const RowRing joint(lease, kPixelFloats), head(lease, kFeatures);
    float* const luma = lease.take(kRowPixels);
    const auto read = [&](std::ptrdiff_t y) {
        if (y < 0 || y >= height) {
            std::fill_n(joint.row(y), (strip.size() + 4) * kPixelFloats, 0.0f);
        } else {
            copy_padded(pass.map.row(y), strip, width, 2, kPixelFloats, joint.row(y));
        }
    };
    read(band.begin - 2);
    read(band.begin - 1);
    walk(
        band,
        [&](std::ptrdiff_t y) {
            read(y + 1);
            if (y < 0 || y >= height) {
                std::fill_n(head.row(y), (strip.size() + 2) * kFeatures, 0.0f);
                return;
            }
            pass.kernels.head_convolution(joint.around(y), layers.head.data(), head.row(y), strip.size() + 2);
            Margins(strip, width, 1, kFeatures).clear(head.row(y));
        },
        [&](std::ptrdiff_t y) {
            pass.kernels.output_convolution(head.around(y), layers.output.data(), luma, strip.size());
            std::copy_n(luma, strip.size(), fused + y * width + strip.begin);
        });
}

}  // namespace

void input_pass(const Pass& pass, const Layers& layers, const float* a, const float* b) {
    pass.for_each_band([&](std::ptrdiff_t, Span band) {
        for (std::ptrdiff_t i = 0; i < pass.tiling.strips(); ++i) {
            convolve_inputs(pass, a, layers.input_a, band, pass.tiling.strip(i), 0);
            convolve_inputs(pass, b, layers.input_b, band, pass.tiling.strip(i), kFeatures);
        }
    });
}

void output_pass(const Pass& pass, const Layers& layers, float* fused) {
    pass.for_each_band([&](std::ptrdiff_t, Span band) {
        for (std::ptrdiff_t i = 0; i < pass.tiling.strips(); ++i) {
            convolve_outputs(pass, layers, band, pass.tiling.strip(i), fused);
        }
    });
}

}  // namespace refusion
