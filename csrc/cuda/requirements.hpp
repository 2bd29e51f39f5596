#pragma once

#include <cstddef>
#include <cstdint>

#include "refusion/cuda_ops.hpp"

// What the operations demand of their arguments; all throw std::invalid_argument, which states both sides.
namespace refusion::cuda {

void require_size(std::ptrdiff_t height, std::ptrdiff_t width, const char* name);
void require_plane(const CudaPlane& plane, const char* name);

// A valid image of the plane's size.
void require_source(const CudaImage& image, const char* name, const CudaPlane& plane);

void require_warp(const CudaWarp& warp);

// A valid image that a picture with that chroma can be written to.
void require_picture(const CudaImage& out, Chroma chroma, const CudaPlane& plane);

void require_aligned_state(std::uintptr_t state);  // may be 0
void require_state(std::uintptr_t state);

}  // namespace refusion::cuda
