#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "refusion/cuda_stream.hpp"

// Owners of what CUDA gives out. All are move-only, free what they own when they go, and throw CudaError
// where CUDA fails.
namespace refusion {

// Device memory, aligned to 256 bytes.
class DeviceBuffer {
  public:
    explicit DeviceBuffer(std::size_t bytes);
    std::uintptr_t pointer() const { return reinterpret_cast<std::uintptr_t>(memory_.get()); }
    void* get() const { return memory_.get(); }
    std::size_t bytes() const { return bytes_; }

  private:
    struct Free {
        void operator()(void* memory) const noexcept;
    };
    std::unique_ptr<void, Free> memory_;
    std::size_t bytes_;
};

// Page-locked host memory: copies between it and the device are asynchronous. It is mapped, so that kernels
// reach it too: on integrated GPUs nothing then needs to be copied.
class PinnedBuffer {
  public:
    explicit PinnedBuffer(std::size_t bytes);
    void* get() const { return memory_.get(); }
    std::size_t bytes() const { return bytes_; }
    std::uintptr_t device_pointer() const;

  private:
    struct Free {
        void operator()(void* memory) const noexcept;
    };
    std::unique_ptr<void, Free> memory_;
    std::size_t bytes_;
};

// A stream that does not wait for the default stream.
class OwnedStream {
  public:
    OwnedStream();
    CudaStream get() const { return stream_.get(); }
    void synchronize() const;

  private:
    struct Destroy {
        void operator()(CudaStream stream) const noexcept;
    };
    std::unique_ptr<CUstream_st, Destroy> stream_;
};

// A point in a stream.
class Event {
  public:
    // Events that measure time are slower to wait for.
    explicit Event(bool is_timed = false);
    void record(CudaStream stream);
    void synchronize() const;
    float milliseconds_since(const Event& earlier) const;

  private:
    struct Destroy {
        void operator()(CUevent_st* event) const noexcept;
    };
    std::unique_ptr<CUevent_st, Destroy> event_;
};

// Enqueues a copy; either side is a device address or host memory.
void copy_async(void* to, const void* from, std::size_t bytes, CudaStream stream);

// Work captured from a stream, to be launched as one.
class CudaGraph {
  public:
    // Begins to capture what this thread enqueues on the stream, instead of running it. Kernels should have
    // run once before: CUDA loads them on first use, which a capture may refuse.
    static void begin_capture(CudaStream stream);

    // Ends the capture, also one that something broke, and prepares what was captured.
    static CudaGraph end_capture(CudaStream stream);

    void launch(CudaStream stream) const;

  private:
    struct Destroy {
        void operator()(CUgraphExec_st* graph) const noexcept;
    };
    explicit CudaGraph(CUgraphExec_st* graph) : graph_(graph) {}
    std::unique_ptr<CUgraphExec_st, Destroy> graph_;
};

}  // namespace refusion
