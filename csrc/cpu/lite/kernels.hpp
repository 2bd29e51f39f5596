#pragma once

#include <cstddef>

#include "../instruction_set.hpp"

// The inner loops of the lite network, compiled once per instruction set. Maps have their channels innermost.
namespace refusion::lite {

// Side of a cell of the grid, pixels.
inline constexpr std::ptrdiff_t kCell = 16;
// Features are computed so many at a time: their number is made up to a multiple with features that are zero.
inline constexpr std::ptrdiff_t kFeatureGroup = 4;
// Pixels whose features are computed, and kept, at a time: a multiple of kCell.
inline constexpr std::ptrdiff_t kFeatureRun = 128;
// What a padded line has at either end of its pixels: runs begin half a cell before the first one, end with a
// whole cell, and see a neighbour on either side.
inline constexpr std::ptrdiff_t kLinePadding = 2 * kCell;

// One row of a convolution's output. What an output pixel sees of the input is some segments of consecutive
// values: for a 3x3 convolution the three rows, each of 3 pixels with all their channels.
struct ConvolvedRow {
    const float* const* segments;  // those of the first output pixel
    int segment_count;
    std::ptrdiff_t length;    // of a segment
    std::ptrdiff_t step;      // from an output pixel's segments to the next one's
    const float* weights;     // [segment][place in the segment][channel]
    const float* bias;        // [channel]
    std::ptrdiff_t channels;  // of the output, a multiple of 16
    std::ptrdiff_t pixels;
    bool relu;
    const float* residual;  // added at last, laid out as out; may be null
    float* out;             // [pixel][channel]
};

// One row of a map, whose pixels are summed up.
struct SummedRow {
    const float* pixels;
    std::ptrdiff_t count;
    std::ptrdiff_t channels;  // a multiple of 16
    float* sums;              // [channel]
};

// The coefficients of one row of pixels, between the centres of neighbouring cells: there they are linear.
struct CoefficientRow {
    const float* above;  // a row of the grid, [cell][coefficient]
    const float* below;  // the next one
    float share;         // of below
    std::ptrdiff_t cells;
    std::ptrdiff_t coefficients;  // a multiple of 16
    float* base;   // [gap][coefficient], at the centre of the cell left of the gap; cells + 1 gaps
    float* slope;  // likewise: from there to the centre of the next cell
};

// One row of the guided step: each pixel is the sum of its features, each times its coefficient. The features
// are 1, both sources, and relu(a 3x3 convolution of both).
struct GuidedRow {
    const float* lines[2][3];  // of both sources, the rows above, at and below; padded by kLinePadding
    const float* weights;      // [group][source][row][column][feature of the group]
    const float* bias;         // [feature]
    std::ptrdiff_t features;   // a multiple of kFeatureGroup
    const float* base;         // of the CoefficientRow
    const float* slope;
    std::ptrdiff_t coefficients;
    float* scratch;  // features * kFeatureRun values
    float* out;
    std::ptrdiff_t width;
};

struct Kernels {
    void (*convolve)(const ConvolvedRow&);
    void (*sum)(const SummedRow&);
    void (*interpolate)(const CoefficientRow&);
    void (*guide)(const GuidedRow&);
};

const Kernels& kernels(InstructionSet instruction_set);

}  // namespace refusion::lite

namespace refusion::avx512 {
extern const lite::Kernels kLiteKernels;
}
namespace refusion::avx2 {
extern const lite::Kernels kLiteKernels;
}
namespace refusion::baseline {
extern const lite::Kernels kLiteKernels;
}
