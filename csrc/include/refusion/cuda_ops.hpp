#pragma once

#include <cstddef>
#include <cstdint>

#include "refusion/chroma.hpp"
#include "refusion/cuda_image.hpp"
#include "refusion/cuda_stream.hpp"
#include "refusion/warp.hpp"

// Pre- and post-processing on a GPU. Every function enqueues work on a stream and returns: it waits for
// nothing and allocates nothing, so that all of it can be captured into a graph. Pointers are device
// addresses in memory that the caller owns. They throw std::invalid_argument for arguments that do not fit
// and CudaError where CUDA fails, or where the library was compiled without CUDA.
namespace refusion {

// Values of the network's input and output.
enum class CudaValue { kHalf, kFloat };

// (height, width) values in rows without gaps.
struct CudaPlane {
    std::uintptr_t pointer = 0;
    std::ptrdiff_t height = 0;
    std::ptrdiff_t width = 0;
    CudaValue value = CudaValue::kFloat;
};

// Writes luma / 255, not rounded, of a to `out` and of b to the plane right behind it: two planes, as the
// network takes them.
void cuda_preprocess(const CudaImage& a, const CudaImage& b, const CudaPlane& out, CudaStream stream);

// A warp whose nodes, those of a `Warp` that spans the output, lie in device memory at a multiple of 8 bytes.
// They may change between calls, and between launches of a graph that such calls were captured into.
struct CudaWarp {
    std::uintptr_t nodes = 0;
    FadeBox box{};  // fade_box says it
};

// The same where the warp maps b and the output to a, which may be of another size. Where it shows nothing of
// a, b's luma stands in, as in `preprocess`.
void cuda_preprocess(const CudaImage& a, const CudaWarp& warp, const CudaImage& b, const CudaPlane& out,
                     CudaStream stream);

// How the output range is chosen: each image's own minimum and maximum, or smoothed over a stream.
enum class CudaRange { kImage, kTracked };

// Bytes of device memory, aligned to 16, that the range of a stream of that size lives in.
std::size_t cuda_range_state_bytes(std::ptrdiff_t height, std::ptrdiff_t width);

// Makes the state that of a stream of which nothing was seen; new memory needs it before anything else.
void cuda_reset_range(std::uintptr_t state, std::ptrdiff_t height, std::ptrdiff_t width, CudaStream stream);

// Takes the next fused luma of the stream into the state.
void cuda_update_range(const CudaPlane& fused, std::uintptr_t state, CudaRange policy, CudaStream stream);

// Writes the finished picture: luma stretched by the state's range, clipped, with that chroma; NaN is black.
// `out` is 8-bit without levels, of one channel for Chroma::kNone, else three (BGR), and may overlap
// no other image. state: 0 leaves the values as they are, 0 to 1, as does a state of which nothing was seen,
// or whose range is empty. Sources that the chroma does not need are not read.
void cuda_postprocess(const CudaPlane& fused, const CudaImage& a, const CudaImage& b, Chroma chroma,
                      std::uintptr_t state, const CudaImage& out, CudaStream stream);

}  // namespace refusion
