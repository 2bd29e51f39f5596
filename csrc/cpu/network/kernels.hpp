#pragma once

#include <array>
#include <cstddef>

#include "../instruction_set.hpp"

namespace refusion {

// Channels of the maps of each source.
inline constexpr int kFeatures = 16;
// Floats of a pixel: the maps of both sources side by side, or the joint map.
inline constexpr std::ptrdiff_t kPixelFloats = 2 * kFeatures;

using ThreeRows = std::array<const float*, 3>;
using FourRows = std::array<const float*, 4>;

using Pointwise = void (*)(const float* in, const float* weights, const float* start,
                           std::ptrdiff_t start_stride, float* out, std::ptrdiff_t out_stride,
                           std::ptrdiff_t pixels);
using Depthwise = void (*)(const FourRows& rows, std::ptrdiff_t channels, const float* weights, float* first,
                           float* second, std::ptrdiff_t pixels);
using Gram = void (*)(const FourRows& rows, std::ptrdiff_t channels, const float* weights, float* scratch,
                      std::ptrdiff_t pixels, bool second_counts, double* sums);
using Gather = void (*)(const float* from, const float* next, float* to, std::ptrdiff_t pixels);
using Pack = void (*)(const float* weights, std::ptrdiff_t in, float* packed);

// A 1x1 convolution of given shape.
struct PointwiseKernel {
    int in, in_stride, out;
    bool residual;  // starts from a row of pixels instead of a bias
    Pointwise run;
    Pack pack;
};

// What the network is computed with, built for one instruction set. Rows of pixels have the channels
// innermost; see the headers of the same names for what each does.
struct NetworkKernels {
    Gather gather16;
    Gather gather32;
    void (*normalise16)(const float* in, float* out, std::ptrdiff_t pixels);
    void (*normalise32)(const float* in, float* out, std::ptrdiff_t pixels);
    std::array<PointwiseKernel, 14> pointwise;
    Depthwise depthwise;
    Depthwise depthwise_gate;
    Gram gram_of_2;  // channels a head
    Gram gram_of_4;
    void (*input_convolution)(const ThreeRows& rows, const float* weights, float* out,
                              std::ptrdiff_t out_stride, std::ptrdiff_t pixels);
    void (*head_convolution)(const ThreeRows& rows, const float* weights, float* out, std::ptrdiff_t pixels);
    Pack pack_head;
    void (*output_convolution)(const ThreeRows& rows, const float* weights, float* out,
                               std::ptrdiff_t pixels);
};

namespace avx512 {
extern const NetworkKernels kNetworkKernels;
}
namespace avx512_bf16 {
extern const NetworkKernels kNetworkKernels;
}
namespace avx2 {
extern const NetworkKernels kNetworkKernels;
}
namespace baseline {
extern const NetworkKernels kNetworkKernels;
}

const NetworkKernels& network_kernels(InstructionSet instruction_set);

}  // namespace refusion
