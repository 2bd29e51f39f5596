#include "launch.cuh"
#include "postprocess.cuh"
#include "requirements.hpp"

namespace refusion {
namespace cuda {
namespace {

template <Chroma kChroma, class Value>
__global__ void __launch_bounds__(kThreads) picture_kernel(const PictureJob<Value> job) {
    finish<kChroma>(job, static_cast<int>(blockIdx.x), static_cast<int>(threadIdx.x));
}

template <class Value>
auto kernel_of(Chroma chroma) {
    switch (chroma) {
        case Chroma::kA:
            return picture_kernel<Chroma::kA, Value>;
        case Chroma::kB:
            return picture_kernel<Chroma::kB, Value>;
        case Chroma::kBoth:
            return picture_kernel<Chroma::kBoth, Value>;
        default:
            return picture_kernel<Chroma::kNone, Value>;
    }
}

}  // namespace
}  // namespace cuda

void cuda_postprocess(const CudaPlane& fused, const CudaImage& a, const CudaImage& b, Chroma chroma,
                      std::uintptr_t state, const CudaImage& out, CudaStream stream) {
    cuda::require_plane(fused, "fused");
    cuda::require_source(a, "a", fused);
    cuda::require_source(b, "b", fused);
    cuda::require_picture(out, chroma, fused);
    cuda::require_aligned_state(state);
    cuda::with_value_type(fused.value, [&](auto* typed) {
        using Value = std::remove_pointer_t<decltype(typed)>;
        const auto job =
            cuda::picture_job(reinterpret_cast<const Value*>(fused.pointer), a, b, chroma, state, out);
        cuda::launch("cudaLaunchKernel (post-processing)", cuda::kernel_of<Value>(chroma), job.tiling.blocks,
                     job, stream);
    });
}

}  // namespace refusion
