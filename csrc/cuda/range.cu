#include "launch.cuh"
#include "range.cuh"
#include "requirements.hpp"

namespace refusion {
namespace cuda {
namespace {

// Combines over the block; only what thread 0 gets is the whole.
__device__ RangePart combined_in_block(const RangePart& part, int thread) {
    __shared__ RangePart parts[kThreads];
    parts[thread] = part;
    for (int stride = kThreads / 2; stride > 0; stride /= 2) {
        __syncthreads();
        combine_across(parts, thread, stride);
    }
    return parts[thread];
}

// The block that is done last combines what all have found, in a fixed order, so that results are repeatable.
template <class Value>
__global__ void __launch_bounds__(kThreads) range_kernel(const RangeJob<Value> job) {
    __shared__ bool is_last;
    const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    const RangePart part = combined_in_block(scan(job, block, thread), thread);
    if (thread == 0) {
        job.state.parts[block] = part;
        __threadfence();
        // Wraps to 0 at the last block: ready for the next frame.
        is_last = atomicInc(&job.state.header->blocks_done, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last) {
        __threadfence();
        const RangePart whole = combined_in_block(gather_parts(job, thread), thread);
        if (thread == 0) {
            follow(job, whole);
        }
    }
}

}  // namespace
}  // namespace cuda

std::size_t cuda_range_state_bytes(std::ptrdiff_t height, std::ptrdiff_t width) {
    cuda::require_size(height, width, "the size");
    return cuda::range_state_bytes(height, width);
}

void cuda_reset_range(std::uintptr_t state, std::ptrdiff_t height, std::ptrdiff_t width, CudaStream stream) {
    cuda::require_size(height, width, "the size");
    cuda::require_state(state);
    cuda::check(cudaMemsetAsync(reinterpret_cast<void*>(state), 0, sizeof(cuda::RangeHeader), stream),
                "cudaMemsetAsync");
}

void cuda_update_range(const CudaPlane& fused, std::uintptr_t state, CudaRange policy, CudaStream stream) {
    cuda::require_plane(fused, "fused");
    cuda::require_state(state);
    cuda::with_value_type(fused.value, [&](auto* typed) {
        using Value = std::remove_pointer_t<decltype(typed)>;
        const auto job = cuda::range_job(reinterpret_cast<const Value*>(fused.pointer), fused.height,
                                         fused.width, state, policy == CudaRange::kTracked);
        cuda::launch("cudaLaunchKernel (output range)", cuda::range_kernel<Value>, job.blocks, job, stream);
    });
}

}  // namespace refusion
