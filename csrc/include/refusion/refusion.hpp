#pragma once

// Everything that C++ users need of refusion: the networks on the CPU, and what stands before and after them.
// Between the two, any other runtime can run the network too: its input is (N, 2, H, W), luma of both sources
// / 255, its output (N, 1, H, W), fused luma; both float, or half where the engine was made so.
//
//   CPU     preprocess, value_range, postprocess, is_gray, warp_image  over Image<T>: any strides, no copies
//           FusionNetwork, LiteNetwork   from the tensors of a checkpoint (not with MSVC)
//   CUDA    cuda_preprocess, cuda_update_range, cuda_postprocess       over CudaImage and CudaPlane: only
//   enqueue
//           DeviceBuffer, PinnedBuffer, OwnedStream, Event, CudaGraph  owners of what CUDA gives out
//
// Cameras that do not see alike: `Warp` (warp.hpp) maps the second source to the first inside of preprocess.
//
// Errors of the caller are std::invalid_argument, those of CUDA are CudaError. A library that was compiled
// without CUDA has all functions; those of CUDA then throw CudaError.
//
// In CMake: find_package(refusion), then link refusion::refusion_ops. examples/cpp shows both ways of use.
#include "refusion/build_info.hpp"
#include "refusion/chroma.hpp"
#include "refusion/cuda_devices.hpp"
#include "refusion/cuda_image.hpp"
#include "refusion/cuda_ops.hpp"
#include "refusion/cuda_resources.hpp"
#include "refusion/cuda_stream.hpp"
#include "refusion/fusion_network.hpp"
#include "refusion/image.hpp"
#include "refusion/lite_network.hpp"
#include "refusion/postprocess.hpp"
#include "refusion/preprocess.hpp"
#include "refusion/statistics.hpp"
#include "refusion/thread_pool.hpp"
#include "refusion/warp.hpp"
