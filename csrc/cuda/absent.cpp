// Stands in for the CUDA sources where the library is compiled without them.
#include "refusion/cuda_devices.hpp"
#include "refusion/cuda_ops.hpp"
#include "refusion/cuda_resources.hpp"

namespace refusion {
namespace {

[[noreturn]] void refuse() {
    throw CudaError(
        "refusion was compiled without CUDA; install the CUDA toolkit (nvcc must be on PATH) and build it "
        "again "
        "with REFUSION_CUDA=on");
}

}  // namespace

CudaDevices cuda_devices() { return {{}, "compiled without CUDA"}; }

void cuda_preprocess(const CudaImage&, const CudaImage&, const CudaPlane&, CudaStream) { refuse(); }
void cuda_preprocess(const CudaImage&, const CudaWarp&, const CudaImage&, const CudaPlane&, CudaStream) {
    refuse();
}
std::size_t cuda_range_state_bytes(std::ptrdiff_t, std::ptrdiff_t) { refuse(); }
void cuda_reset_range(std::uintptr_t, std::ptrdiff_t, std::ptrdiff_t, CudaStream) { refuse(); }
void cuda_update_range(const CudaPlane&, std::uintptr_t, CudaRange, CudaStream) { refuse(); }
void cuda_postprocess(const CudaPlane&, const CudaImage&, const CudaImage&, Chroma, std::uintptr_t,
                      const CudaImage&, CudaStream) {
    refuse();
}

DeviceBuffer::DeviceBuffer(std::size_t) { refuse(); }
void DeviceBuffer::Free::operator()(void*) const noexcept {}
PinnedBuffer::PinnedBuffer(std::size_t) { refuse(); }
void PinnedBuffer::Free::operator()(void*) const noexcept {}
std::uintptr_t PinnedBuffer::device_pointer() const { refuse(); }
OwnedStream::OwnedStream() { refuse(); }
void OwnedStream::synchronize() const { refuse(); }
void OwnedStream::Destroy::operator()(CudaStream) const noexcept {}
Event::Event(bool) { refuse(); }
void Event::record(CudaStream) { refuse(); }
void Event::synchronize() const { refuse(); }
float Event::milliseconds_since(const Event&) const { refuse(); }
void Event::Destroy::operator()(CUevent_st*) const noexcept {}
void copy_async(void*, const void*, std::size_t, CudaStream) { refuse(); }
void CudaGraph::begin_capture(CudaStream) { refuse(); }
CudaGraph CudaGraph::end_capture(CudaStream) { refuse(); }
void CudaGraph::launch(CudaStream) const { refuse(); }
void CudaGraph::Destroy::operator()(CUgraphExec_st*) const noexcept {}

}  // namespace refusion
