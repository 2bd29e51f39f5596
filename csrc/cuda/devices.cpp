#include <cuda_runtime_api.h>

#include "refusion/cuda_devices.hpp"

namespace refusion {

CudaDevices cuda_devices() {
    CudaDevices found;
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    for (int index = 0; status == cudaSuccess && index < count; ++index) {
        cudaDeviceProp properties{};
        status = cudaGetDeviceProperties(&properties, index);
        if (status == cudaSuccess) {
            found.devices.push_back({properties.name, properties.major, properties.minor,
                                     properties.totalGlobalMem, properties.integrated != 0});
        }
    }
    if (status != cudaSuccess) {
        found.problem = cudaGetErrorString(status);
        // The error would otherwise come back from the next CUDA call of another library.
        cudaGetLastError();
    } else if (count == 0) {
        found.problem = "no CUDA device";
    }
    return found;
}

}  // namespace refusion
