#include "launch.cuh"
#include "preprocess.cuh"
#include "requirements.hpp"
#include "warping.cuh"

namespace refusion {
namespace cuda {
namespace {

template <class First, class Value>
struct LumaJobs {
    First a;
    LumaJob<Value> b;
};

// Both sources in one launch: at 640x480 a launch takes as long as the work.
template <class First, class Value>
__global__ void __launch_bounds__(kThreads) luma_kernel(const LumaJobs<First, Value> jobs) {
    const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    if (block < jobs.a.tiling.blocks) {
        write_luma(jobs.a, block, thread);
    } else {
        write_luma(jobs.b, block - jobs.a.tiling.blocks, thread);
    }
}

// job_of gives the job of a, for a pointer to its plane.
template <class JobOf>
void launch_luma(const CudaImage& b, const CudaPlane& out, CudaStream stream, const JobOf& job_of) {
    with_value_type(out.value, [&](auto* typed) {
        using Value = std::remove_pointer_t<decltype(typed)>;
        auto* const planes = reinterpret_cast<Value*>(out.pointer);
        using First = decltype(job_of(planes));
        const LumaJobs<First, Value> jobs{
            job_of(planes), luma_job(b, planes + out.height * out.width, out.height, out.width)};
        launch("cudaLaunchKernel (pre-processing)", luma_kernel<First, Value>,
               jobs.a.tiling.blocks + jobs.b.tiling.blocks, jobs, stream);
    });
}

}  // namespace
}  // namespace cuda

void cuda_preprocess(const CudaImage& a, const CudaImage& b, const CudaPlane& out, CudaStream stream) {
    cuda::require_plane(out, "out");
    cuda::require_source(a, "a", out);
    cuda::require_source(b, "b", out);
    cuda::launch_luma(b, out, stream,
                      [&](auto* plane) { return cuda::luma_job(a, plane, out.height, out.width); });
}

void cuda_preprocess(const CudaImage& a, const CudaWarp& warp, const CudaImage& b, const CudaPlane& out,
                     CudaStream stream) {
    cuda::require_plane(out, "out");
    require_valid(a, "a");
    cuda::require_warp(warp);
    cuda::require_source(b, "b", out);
    cuda::launch_luma(b, out, stream, [&](auto* plane) {
        return cuda::warped_job(a, warp, b, plane, out.height, out.width);
    });
}

}  // namespace refusion
