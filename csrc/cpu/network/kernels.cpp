// Compiled once per instruction set: see cmake/kernels.cmake.
#include "kernels.hpp"

#include "convolution.hpp"
#include "depthwise.hpp"
#include "gather.hpp"
#include "normalise.hpp"
#include "pointwise.hpp"
#if defined(__AVX512BF16__)
#include "pointwise_bfloat16.hpp"
#endif

namespace refusion::REFUSION_ISA {
namespace {

template <int kIn, int kStride, int kOut, Start kStart>
constexpr PointwiseKernel kernel() {
    constexpr bool residual = kStart == Start::kResidual;
#if defined(__AVX512BF16__)
    return {kIn,
            kStride,
            kOut,
            residual,
            &pointwise_bfloat16<kIn, kStride, kOut, kStart>,
            &pack_pointwise_bfloat16<kOut>};
#else
    return {kIn, kStride, kOut, residual, &pointwise<kIn, kStride, kOut, kStart>, &pack_pointwise<kOut>};
#endif
}

template <int kIn, int kStride, int kOut>
constexpr PointwiseKernel from_bias() {
    return kernel<kIn, kStride, kOut, Start::kBias>();
}

template <int kIn, int kStride, int kOut>
constexpr PointwiseKernel from_residual() {
    return kernel<kIn, kStride, kOut, Start::kResidual>();
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
