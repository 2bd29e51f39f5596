#pragma once

#include <cstddef>

#include "../instruction_set.hpp"

// The inner loops of the guided step (refusion/models/lite.py), compiled once per instruction set. All work
// on one row of planes.
namespace refusion::lite {

inline constexpr std::ptrdiff_t kStride = 4;  // pixels of a source in one small pixel, along each axis
inline constexpr std::ptrdiff_t kRadius = 5;  // of windows, small pixels
inline constexpr int kMoments = 8;            // a, b, fused, aa, ab, bb, a fused, b fused
inline constexpr int kCoefficients = 3;       // what depends on no source, the factor of a, that of b

struct Kernels {
    // Means of kStride x kStride pixels; the last pixel of a row stands in for those beyond the end. `line`
    // takes kStride * ceil(width / kStride) values.
    void (*pool)(const float* const* rows, std::ptrdiff_t width, float* line, float* out);
    // Moments around mid gray of small pixels (planes: a, b, fused), each summed over the windows' columns.
    // `line` takes pixels + 2 * kRadius values.
    void (*sum_moments)(const float* const* planes, std::ptrdiff_t pixels, float* line, float* const* out);
    // The fit of each window from the sums of `count` rows of moments, again summed over the windows'
    // columns.
    void (*fit)(const float* const* const* rows, int count, std::ptrdiff_t pixels, float* line,
                float* const* scratch, float* const* out);
    // Means of `count` rows of fits: the coefficients of small pixels.
    void (*average)(const float* const* const* rows, int count, std::ptrdiff_t pixels, float* const* out);
    // Coefficients between two rows of them, `share` of the lower one, enlarged along the row and applied.
    void (*apply)(const float* const* above, const float* const* below, float share, std::ptrdiff_t pixels,
                  const float* a, const float* b, std::ptrdiff_t width, float* line, float* out);
    // A row with its detail raised, clamped to [0, 1]: rows above, at and below.
    void (*sharpen)(const float* const* rows, std::ptrdiff_t width, float* line, float* out);
};

namespace avx512 {
extern const Kernels kLiteKernels;
}
namespace avx2 {
extern const Kernels kLiteKernels;
}
namespace baseline {
extern const Kernels kLiteKernels;
}

const Kernels& kernels(InstructionSet instruction_set);

}  // namespace refusion::lite
