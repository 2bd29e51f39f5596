#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "kernels.hpp"

namespace refusion::lite {

// Several planes of small pixels.
template <int kCount>
class Planes {
  public:
    Planes(std::ptrdiff_t height, std::ptrdiff_t width)
        : height_(height), width_(width), values_(static_cast<std::size_t>(kCount * height * width)) {}

    using Row = std::array<float*, kCount>;
    Row row(std::ptrdiff_t y) {
        Row row;
        for (int i = 0; i < kCount; ++i) {
            row[static_cast<std::size_t>(i)] = plane(i) + y * width_;
        }
        return row;
    }
    float* plane(int index) { return values_.data() + index * height_ * width_; }
    std::ptrdiff_t height() const { return height_; }

  private:
    std::ptrdiff_t height_, width_;
    std::vector<float> values_;
};

// The rows of the windows around row y that are in the picture.
template <int kCount>
class WindowRows {
  public:
    WindowRows(Planes<kCount>& planes, std::ptrdiff_t y) {
        const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(y - kRadius, 0);
        const std::ptrdiff_t end = std::min(y + kRadius + 1, planes.height());
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            const auto places = planes.row(row);
            std::copy(places.begin(), places.end(), rows_[count_].begin());
            pointers_[count_] = rows_[count_].data();
            ++count_;
        }
    }
    WindowRows(const WindowRows&) = delete;
    WindowRows& operator=(const WindowRows&) = delete;

    const float* const* const* get() const { return pointers_.data(); }
    int count() const { return static_cast<int>(count_); }

  private:
    static constexpr std::size_t kMost = 2 * kRadius + 1;
    std::array<std::array<const float*, kCount>, kMost> rows_;
    std::array<const float* const*, kMost> pointers_;
    std::size_t count_ = 0;
};

}  // namespace refusion::lite
