// Compiled once per instruction set: see cmake/kernels.cmake.
#include "kernels.hpp"

#include "../simd.hpp"

namespace refusion::REFUSION_ISA {
namespace {

using lite::CoefficientRow;
using lite::ConvolvedRow;
using lite::GuidedRow;
using lite::kCell;
using lite::kFeatureGroup;
using lite::kFeatureRun;
using lite::SummedRow;

// Sums of a block of `Pixels` times `Vectors` of channels are kept in registers: of what is left, the weights
// take `Vectors`, the input value one.
template <int Vectors, int Pixels>
REFUSION_INLINE void convolve_block(const ConvolvedRow& row, std::ptrdiff_t pixel, std::ptrdiff_t channel) {
    static_assert(Vectors * (Pixels + 1) + 1 <= kRegisters, "the sums would be spilled");
    Vector sums[Pixels][Vectors];
    REFUSION_UNROLL
    for (int p = 0; p < Pixels; ++p) {
        REFUSION_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            sums[p][v] = load(row.bias + channel + v * kLanes);
        }
    }
    const float* weights = row.weights + channel;
    const std::ptrdiff_t step = row.step;
    for (int segment = 0; segment < row.segment_count; ++segment) {
        const float* input = row.segments[segment] + pixel * step;
        for (std::ptrdiff_t place = 0; place < row.length; ++place, ++input, weights += row.channels) {
            Vector weight[Vectors];
            REFUSION_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                weight[v] = load(weights + v * kLanes);
            }
            REFUSION_UNROLL
            for (int p = 0; p < Pixels; ++p) {
                const Vector value = splat(input[p * step]);
                REFUSION_UNROLL
                for (int v = 0; v < Vectors; ++v) {
                    sums[p][v] += value * weight[v];
                }
            }
        }
    }
    REFUSION_UNROLL
    for (int p = 0; p < Pixels; ++p) {
        const std::ptrdiff_t place = (pixel + p) * row.channels + channel;
        REFUSION_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            Vector value = sums[p][v];
            if (row.relu) {
                value = maximum(value, Vector{});
            }
            if (row.residual != nullptr) {
                value += load(row.residual + place + v * kLanes);
            }
            store(row.out + place + v * kLanes, value);
        }
    }
}

template <int Vectors>
void convolve_channels(const ConvolvedRow& row, std::ptrdiff_t channel) {
    constexpr int kPixels = (kRegisters - 1) / Vectors - 1 < 16 ? (kRegisters - 1) / Vectors - 1 : 16;
    std::ptrdiff_t pixel = 0;
    for (; pixel + kPixels <= row.pixels; pixel += kPixels) {
        convolve_block<Vectors, kPixels>(row, pixel, channel);
    }
    if constexpr (kPixels > 4) {
        for (; pixel + 4 <= row.pixels; pixel += 4) {
            convolve_block<Vectors, 4>(row, pixel, channel);
        }
    }
    for (; pixel < row.pixels; ++pixel) {
        convolve_block<Vectors, 1>(row, pixel, channel);
    }
}

void convolve(const ConvolvedRow& row) {
    std::ptrdiff_t channel = 0;
    if constexpr (kRegisters >= 32) {
        for (; channel + 3 * kLanes <= row.channels; channel += 3 * kLanes) {
            convolve_channels<3>(row, channel);
        }
    }
    for (; channel + 2 * kLanes <= row.channels; channel += 2 * kLanes) {
        convolve_channels<2>(row, channel);
    }
    for (; channel < row.channels; channel += kLanes) {
        convolve_channels<1>(row, channel);
    }
}

void sum(const SummedRow& row) {
    constexpr int kPartial = 4;
    for (std::ptrdiff_t channel = 0; channel < row.channels; channel += kLanes) {
        Vector sums[kPartial] = {};
        const float* pixel = row.pixels + channel;
        std::ptrdiff_t left = row.count;
        for (; left >= kPartial; left -= kPartial, pixel += kPartial * row.channels) {
            REFUSION_UNROLL
            for (int i = 0; i < kPartial; ++i) {
                sums[i] += load(pixel + i * row.channels);
            }
        }
        for (; left > 0; --left, pixel += row.channels) {
            sums[0] += load(pixel);
        }
        store(row.sums + channel, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
}

void interpolate(const CoefficientRow& row) {
    const std::ptrdiff_t count = row.coefficients;
    const Vector share = splat(row.share);
    for (std::ptrdiff_t first = 0; first < count; first += kLanes) {
        Vector left{};
        for (std::ptrdiff_t cell = 0; cell <= row.cells; ++cell) {
            // Beyond the outermost centres coefficients are constant.
            const std::ptrdiff_t place = (cell < row.cells ? cell : cell - 1) * count + first;
            const Vector above = load(row.above + place);
            const Vector right = above + share * (load(row.below + place) - above);
            if (cell == 0) {
                left = right;
            }
            store(row.base + cell * count + first, left);
            store(row.slope + cell * count + first, right - left);
            left = right;
        }
    }
}

template <int Vectors>
REFUSION_INLINE void compute_feature_block(const GuidedRow& row, std::ptrdiff_t x, float* out) {
    const float* weights = row.weights;
    for (std::ptrdiff_t first = 0; first < row.features; first += kFeatureGroup) {
        Vector sums[kFeatureGroup][Vectors];
        REFUSION_UNROLL
        for (int f = 0; f < kFeatureGroup; ++f) {
            REFUSION_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                sums[f][v] = splat(row.bias[first + f]);
            }
        }
        for (int source = 0; source < 2; ++source) {
            for (int dy = 0; dy < 3; ++dy) {
                const float* line = row.lines[source][dy] + x - 1;
                for (int dx = 0; dx < 3; ++dx, ++line, weights += kFeatureGroup) {
                    Vector values[Vectors];
                    REFUSION_UNROLL
                    for (int v = 0; v < Vectors; ++v) {
                        values[v] = load(line + v * kLanes);
                    }
                    REFUSION_UNROLL
                    for (int f = 0; f < kFeatureGroup; ++f) {
                        const Vector weight = splat(weights[f]);
                        REFUSION_UNROLL
                        for (int v = 0; v < Vectors; ++v) {
                            sums[f][v] += values[v] * weight;
                        }
                    }
                }
            }
        }
        REFUSION_UNROLL
        for (int f = 0; f < kFeatureGroup; ++f) {
            REFUSION_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                store(out + (first + f) * kFeatureRun + v * kLanes, maximum(sums[f][v], Vector{}));
            }
        }
    }
}

// Writes relu(a 3x3 convolution of both sources) for a run of pixels from x on.
void compute_features(const GuidedRow& row, std::ptrdiff_t x, std::ptrdiff_t pixels) {
    // As many vectors of sums as fit into the registers beside one of input and one of weights each.
    constexpr int kVectors = kRegisters >= 32 ? 4 : 2;
    std::ptrdiff_t at = 0;
    for (; at + kVectors * kLanes <= pixels; at += kVectors * kLanes) {
        compute_feature_block<kVectors>(row, x + at, row.scratch + at);
    }
    for (; at < pixels; at += kLanes) {
        compute_feature_block<1>(row, x + at, row.scratch + at);
    }
}

// Writes a vector of pixels, of which those outside of the row are left out.
REFUSION_INLINE void store_inside(const GuidedRow& row, std::ptrdiff_t x, Vector value) {
    if (x >= 0 && x + kLanes <= row.width) {
        store(row.out + x, value);
        return;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
        if (x + lane >= 0 && x + lane < row.width) {
            row.out[x + lane] = value[lane];
        }
    }
}

void guide(const GuidedRow& row) {
    Vector shares[kCell / kLanes];
    REFUSION_UNROLL
    for (int i = 0; i < kCell; ++i) {
        shares[i / kLanes][i % kLanes] = (static_cast<float>(i) + 0.5f) / kCell;
    }
    const float *base = row.base, *slope = row.slope;
    for (std::ptrdiff_t x = -kCell / 2; x < row.width; x += kFeatureRun) {
        // From the centre of a cell to that of another one: beyond the row's end, pixels count for nothing.
        const std::ptrdiff_t left = (row.width - x + kCell - 1) / kCell * kCell;
        const std::ptrdiff_t pixels = left < kFeatureRun ? left : kFeatureRun;
        compute_features(row, x, pixels);
        for (std::ptrdiff_t at = 0; at < pixels; at += kCell) {
            for (int v = 0; v < kCell / kLanes; ++v) {
                const std::ptrdiff_t place = at + v * kLanes;
                const Vector a = load(row.lines[0][1] + x + place);
                const Vector b = load(row.lines[1][1] + x + place);
                Vector start = splat(base[0]) + splat(base[1]) * a + splat(base[2]) * b;
                Vector change = splat(slope[0]) + splat(slope[1]) * a + splat(slope[2]) * b;
                for (std::ptrdiff_t f = 0; f < row.features; ++f) {
                    const Vector feature = load(row.scratch + f * kFeatureRun + place);
                    start += splat(base[3 + f]) * feature;
                    change += splat(slope[3 + f]) * feature;
                }
                const Vector fused = start + shares[v] * change;
                store_inside(row, x + place, minimum(maximum(fused, Vector{}), splat(1.0f)));
            }
            base += row.coefficients;
            slope += row.coefficients;
        }
    }
}

}  // namespace

extern const lite::Kernels kLiteKernels = {&convolve, &sum, &interpolate, &guide};

}  // namespace refusion::REFUSION_ISA
