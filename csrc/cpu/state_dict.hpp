#pragma once

#include <set>
#include <string>
#include <vector>

#include "refusion/tensor.hpp"

namespace refusion {

// In a shape that is asked for: any length.
inline constexpr std::ptrdiff_t kAnyLength = -1;

// The tensors of a state dict, each checked as it is taken. Everything throws std::invalid_argument.
class StateDict {
  public:
    explicit StateDict(const Tensors& tensors) : tensors_(tensors) {}

    bool has(const std::string& name) const { return tensors_.count(name) != 0; }

    // The tensor of that name and shape, all of it finite.
    const Tensor& take(const std::string& name, const std::vector<std::ptrdiff_t>& shape);

    // Its values.
    std::vector<float> read(const std::string& name, const std::vector<std::ptrdiff_t>& shape);

    // Refuses tensors that nothing has taken.
    void require_all_taken() const;

  private:
    const Tensors& tensors_;
    std::set<std::string> taken_;
};

}  // namespace refusion
