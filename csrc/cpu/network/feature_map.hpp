#pragma once

#include <cstddef>
#include <memory>

#include "kernels.hpp"

namespace refusion {

// Memory on a cache line, in large pages where the system has them. Zero at first.
class AlignedFloats {
  public:
    explicit AlignedFloats(std::size_t count = 0);
    float* get() const { return data_.get(); }
    std::size_t size() const { return size_; }

  private:
    struct Free {
        void operator()(float* data) const;
    };
    std::unique_ptr<float[], Free> data_;
    std::size_t size_;
};

// The one feature map that the network has in memory: every block overwrites it.
class FeatureMap {
  public:
    // Keeps the memory if it is large enough, and not much too large.
    void resize(std::ptrdiff_t height, std::ptrdiff_t width);

    std::ptrdiff_t height() const { return height_; }
    std::ptrdiff_t width() const { return width_; }
    float* row(std::ptrdiff_t y) const { return memory_.get() + y * width_ * kPixelFloats; }

  private:
    std::ptrdiff_t height_ = 0;
    std::ptrdiff_t width_ = 0;
    AlignedFloats memory_;
};

}  // namespace refusion
