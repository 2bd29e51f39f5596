#include "refusion/cuda_devices.hpp"

namespace refusion {

CudaDevices cuda_devices() { return {{}, "compiled without CUDA"}; }

}  // namespace refusion
