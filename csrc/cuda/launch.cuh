#pragma once

#include <cuda_runtime.h>

#include "check.hpp"
#include "refusion/cuda_image.hpp"
#include "refusion/cuda_ops.hpp"
#include "tiling.hpp"
#include "words.cuh"

namespace refusion::cuda {

// Enqueues a kernel that takes one argument; the name is for the message.
template <class Job>
void launch(const char* name, void (*kernel)(Job), int blocks, Job job, CudaStream stream) {
    void* arguments[] = {&job};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(blocks)),
                           dim3(kThreads), arguments, 0, stream),
          name);
}

// Calls run with a null pointer of the type that a plane's values have.
template <class Run>
void with_value_type(CudaValue value, const Run& run) {
    if (value == CudaValue::kHalf) {
        run(static_cast<Half*>(nullptr));
    } else {
        run(static_cast<float*>(nullptr));
    }
}

}  // namespace refusion::cuda
