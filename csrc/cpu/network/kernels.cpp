// Compiled once per instruction set: see cmake/kernels.cmake.
#include "kernels.hpp"

#include "convolution.hpp"
#include "depthwise.hpp"
#include "gather.hpp"
#include "normalise.hpp"
#include "pointwise.hpp"

namespace refusion::REFUSION_ISA {
namespace {

template <int kIn, int kStride, int kOut>
constexpr PointwiseKernel from_bias() {
    return {kIn, kStride, kOut, false, &pointwise<kIn, kStride, kOut, Start::kBias>, &pack_pointwise<kOut>};
}

template <int kIn, int kStride, int kOut>
constexpr PointwiseKernel from_residual() {
    return {kIn, kStride, kOut, true, &pointwise<kIn, kStride, kOut, Start::kResidual>, &pack_pointwise<kOut>};
}

}  // namespace

const NetworkKernels kNetworkKernels = {
    &gather<16>,
    &gather<32>,
    &normalise<16>,
    &normalise<32>,
    {{
        // encoders: value, queries and keys, mix, gate, out
        from_bias<16, 16, 16>(),
        from_bias<16, 16, 32>(),
        from_residual<16, 16, 16>(),
        from_bias<16, 16, 64>(),
        from_residual<32, 32, 16>(),
        // decoder, and where cross-attention has the same
        from_bias<32, 32, 32>(),
        from_bias<32, 32, 64>(),
        from_residual<32, 32, 32>(),
        from_bias<32, 32, 128>(),
        from_residual<64, 64, 32>(),
        // cross-attention: of one source, within the pixels of both
        from_bias<16, 32, 16>(),
        from_residual<16, 32, 16>(),
        from_bias<16, 32, 64>(),
        from_residual<128, 128, 32>(),
    }},
    &depthwise,
    &depthwise_gate,
    &depthwise_gram<2>,
    &depthwise_gram<4>,
    &input_convolution,
    &head_convolution,
    &pack_pointwise<kFeatures>,
    &output_convolution,
};

}  // namespace refusion::REFUSION_ISA
