#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace refusion {

// A tensor of weights by PyTorch's shape, contiguous. It has to live only while it is read.
struct Tensor {
    const float* data = nullptr;
    std::vector<std::ptrdiff_t> shape;
};

// By the names of a PyTorch module's state dict.
using Tensors = std::map<std::string, Tensor>;

}  // namespace refusion
