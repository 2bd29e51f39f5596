#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace refusion {

struct CudaDevice {
    std::string name;
    int major;  // compute capability
    int minor;
    std::size_t memory_bytes;
    bool integrated;  // shares the host's memory, as on Jetson
};

struct CudaDevices {
    std::vector<CudaDevice> devices;
    std::string problem;  // why there are none; empty where there are
};

// The GPUs that CUDA sees. Never fails: without a driver the list is empty and the reason is given.
CudaDevices cuda_devices();

}  // namespace refusion
