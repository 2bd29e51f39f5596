#include "launch.cuh"
#include "preprocess.cuh"
#include "requirements.hpp"

namespace refusion {
namespace cuda {
namespace {

template <class Value>
struct LumaJobs {
    LumaJob<Value> a;
    LumaJob<Value> b;
};

// Both sources in one launch: at 640x480 a launch takes as long as the work.
template <class Value>
__global__ void __launch_bounds__(kThreads) luma_kernel(const LumaJobs<Value> jobs) {
    const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    if (block < jobs.a.tiling.blocks) {
        write_luma(jobs.a, block, thread);
    } else {
        write_luma(jobs.b, block - jobs.a.tiling.blocks, thread);
    }
}

}  // namespace
}  // namespace cuda

void cuda_preprocess(const CudaImage& a, const CudaImage& b, const CudaPlane& out, CudaStream stream) {
    cuda::require_plane(out, "out");
    cuda::require_source(a, "a", out);
    cuda::require_source(b, "b", out);
    cuda::with_value_type(out.value, [&](auto* typed) {
        using Value = std::remove_pointer_t<decltype(typed)>;
        auto* const planes = reinterpret_cast<Value*>(out.pointer);
        const cuda::LumaJobs<Value> jobs{
            cuda::luma_job(a, planes, out.height, out.width),
            cuda::luma_job(b, planes + out.height * out.width, out.height, out.width)};
        cuda::launch("cudaLaunchKernel (pre-processing)", cuda::luma_kernel<Value>,
                     jobs.a.tiling.blocks + jobs.b.tiling.blocks, jobs, stream);
    });
}

}  // namespace refusion
