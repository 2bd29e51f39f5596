#include "state_dict.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace refusion {
namespace {

std::string text(const std::vector<std::ptrdiff_t>& shape) {
    std::string result;
    for (const std::ptrdiff_t length : shape) {
        result += (result.empty() ? "" : ", ") + (length == kAnyLength ? "any" : std::to_string(length));
    }
    return "(" + result + ")";
}

std::ptrdiff_t size_of(const Tensor& tensor) {
    return std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::ptrdiff_t{1}, std::multiplies<>());
}

}  // namespace

const Tensor& StateDict::take(const std::string& name, const std::vector<std::ptrdiff_t>& shape) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
        throw std::invalid_argument("the tensor " + name + " is missing");
    }
    const Tensor& tensor = found->second;
    const bool fits = std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end(),
                                 [](std::ptrdiff_t length, std::ptrdiff_t asked) {
                                     return asked == kAnyLength ? length > 0 : length == asked;
                                 });
    if (!fits) {
        throw std::invalid_argument("the tensor " + name + " is " + text(tensor.shape) + ", not " +
                                    text(shape));
    }
    const auto is_finite = [](float value) { return std::isfinite(value); };
    if (!std::all_of(tensor.data, tensor.data + size_of(tensor), is_finite)) {
        throw std::invalid_argument("the tensor " + name + " has values that are NaN or infinite");
    }
    taken_.insert(name);
    return tensor;
}

std::vector<float> StateDict::read(const std::string& name, const std::vector<std::ptrdiff_t>& shape) {
    const Tensor& tensor = take(name, shape);
    return {tensor.data, tensor.data + size_of(tensor)};
}

void StateDict::require_all_taken() const {
    for (const auto& [name, tensor] : tensors_) {
        if (taken_.count(name) == 0) {
            throw std::invalid_argument("the tensor " + name + " is not of this network");
        }
    }
}

}  // namespace refusion
