#include "check.hpp"
#include "refusion/cuda_resources.hpp"

namespace refusion {

using cuda::check;

DeviceBuffer::DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    memory_.reset(memory);
}

void DeviceBuffer::Free::operator()(void* memory) const noexcept { cudaFree(memory); }

PinnedBuffer::PinnedBuffer(std::size_t bytes) : bytes_(bytes) {
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, bytes, cudaHostAllocMapped), "cudaHostAlloc");
    memory_.reset(memory);
}

std::uintptr_t PinnedBuffer::device_pointer() const {
    void* device = nullptr;
    check(cudaHostGetDevicePointer(&device, memory_.get(), 0), "cudaHostGetDevicePointer");
    return reinterpret_cast<std::uintptr_t>(device);
}

void PinnedBuffer::Free::operator()(void* memory) const noexcept { cudaFreeHost(memory); }

OwnedStream::OwnedStream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    stream_.reset(stream);
}

void OwnedStream::synchronize() const {
    check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
}

void OwnedStream::Destroy::operator()(CudaStream stream) const noexcept { cudaStreamDestroy(stream); }

Event::Event(bool is_timed) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, is_timed ? cudaEventDefault : cudaEventDisableTiming),
          "cudaEventCreateWithFlags");
    event_.reset(event);
}

void Event::record(CudaStream stream) { check(cudaEventRecord(event_.get(), stream), "cudaEventRecord"); }

void Event::synchronize() const { check(cudaEventSynchronize(event_.get()), "cudaEventSynchronize"); }

float Event::milliseconds_since(const Event& earlier) const {
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, earlier.event_.get(), event_.get()), "cudaEventElapsedTime");
    return milliseconds;
}

void Event::Destroy::operator()(CUevent_st* event) const noexcept { cudaEventDestroy(event); }

void copy_async(void* to, const void* from, std::size_t bytes, CudaStream stream) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
}

void CudaGraph::begin_capture(CudaStream stream) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

CudaGraph CudaGraph::end_capture(CudaStream stream) {
    cudaGraph_t captured = nullptr;
    check(cudaStreamEndCapture(stream, &captured), "cudaStreamEndCapture");
    struct DestroyCaptured {
        void operator()(cudaGraph_t graph) const noexcept { cudaGraphDestroy(graph); }
    };
    const std::unique_ptr<CUgraph_st, DestroyCaptured> owned(captured);
    cudaGraphExec_t executable = nullptr;
#if CUDART_VERSION >= 12000
    check(cudaGraphInstantiate(&executable, captured, 0), "cudaGraphInstantiate");
#else
    check(cudaGraphInstantiate(&executable, captured, nullptr, nullptr, 0), "cudaGraphInstantiate");
#endif
    return CudaGraph(executable);
}

void CudaGraph::launch(CudaStream stream) const {
    check(cudaGraphLaunch(graph_.get(), stream), "cudaGraphLaunch");
}

void CudaGraph::Destroy::operator()(CUgraphExec_st* graph) const noexcept { cudaGraphExecDestroy(graph); }

}  // namespace refusion
