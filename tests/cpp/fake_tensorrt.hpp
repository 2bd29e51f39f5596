#pragma once

// The part of NvInferRuntime.h that the example calls, as TensorRT 8.5 has it, or, with FAKE_TENSORRT_10, as
// 10 and later do: lengths of 64 bits, an argument more with a default, and a switch for host code.
#include <cstddef>
#include <cstdint>

using cudaStream_t = struct CUstream_st*;

namespace nvinfer1 {

struct Dims {
    int32_t nbDims;
#if defined(FAKE_TENSORRT_10)
    int64_t d[8];
#else
    int32_t d[8];
#endif
};

class ILogger {
  public:
    enum class Severity : int32_t { kINTERNAL_ERROR, kERROR, kWARNING, kINFO, kVERBOSE };
    virtual void log(Severity severity, char const* message) noexcept = 0;
    virtual ~ILogger() = default;
};

class IExecutionContext {
  public:
    virtual ~IExecutionContext() noexcept = default;
    bool setInputShape(char const* name, Dims const& shape) noexcept;
    bool setTensorAddress(char const* name, void* address) noexcept;
    bool enqueueV3(cudaStream_t stream) noexcept;
};

#if defined(FAKE_TENSORRT_10)
enum class ExecutionContextAllocationStrategy : int32_t { kSTATIC };
#endif

class ICudaEngine {
  public:
    virtual ~ICudaEngine() noexcept = default;
#if defined(FAKE_TENSORRT_10)
    IExecutionContext* createExecutionContext(
        ExecutionContextAllocationStrategy strategy = ExecutionContextAllocationStrategy::kSTATIC) noexcept;
#else
    IExecutionContext* createExecutionContext() noexcept;
#endif
};

class IRuntime {
  public:
    virtual ~IRuntime() noexcept = default;
    ICudaEngine* deserializeCudaEngine(void const* plan, std::size_t size) noexcept;
#if defined(FAKE_TENSORRT_10)
    void setEngineHostCodeAllowed(bool allowed) noexcept;
#endif
};

IRuntime* createInferRuntime(ILogger& logger) noexcept;

}  // namespace nvinfer1
