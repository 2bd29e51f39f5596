#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "refusion/cuda_stream.hpp"

namespace refusion::cuda {

// Throws CudaError unless the call succeeded.
inline void check(cudaError_t status, const char* call) {
    if (status != cudaSuccess) {
        // Otherwise the runtime would report it once more, at a later call.
        cudaGetLastError();
        throw CudaError(std::string(call) + " failed: " + cudaGetErrorString(status) + " (" +
                        cudaGetErrorName(status) + ")");
    }
}

}  // namespace refusion::cuda
