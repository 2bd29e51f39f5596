#pragma once

#include <algorithm>
#include <cstddef>

namespace refusion {

// Pixels from `begin` to `end`.
struct Span {
    std::ptrdiff_t begin, end;
    std::ptrdiff_t size() const { return end - begin; }
};

// Most columns that are worked on at once. Four rows of 128 channels of them take 0.2 MiB, which fits the
// second-level caches of most processors; narrower strips compute more pixels twice (64: 4 % slower on a Zen
// 5 with 1 MiB, 128: 1 % faster).
inline constexpr std::ptrdiff_t kStripWidth = 96;
// Pixels that a row in scratch memory has room for: a strip, two pixels on either side, and what the kernels
// touch beyond the end.
inline constexpr std::ptrdiff_t kRowPixels = kStripWidth + 16;

// The picture cut into bands of rows, which threads take, and these into strips of columns, which one thread
// walks down from left to right. Bands begin at even rows.
class Tiling {
  public:
    Tiling(std::ptrdiff_t height, std::ptrdiff_t width, int threads)
        : height_(height), width_(width), strips_((width + kStripWidth - 1) / kStripWidth) {
        // Several bands for each thread, so that a thread that loses its processor does not hold up the rest;
        // but not so low that the rows which neighbours compute twice would count.
        constexpr std::ptrdiff_t bands_a_thread = 4, lowest = 16;
        const std::ptrdiff_t wanted = height / (bands_a_thread * threads);
        band_height_ = std::max(lowest, (wanted + 1) / 2 * 2);
    }

    std::ptrdiff_t height() const { return height_; }
    std::ptrdiff_t width() const { return width_; }
    std::ptrdiff_t bands() const { return (height_ + band_height_ - 1) / band_height_; }
    std::ptrdiff_t strips() const { return strips_; }

    Span band(std::ptrdiff_t index) const {
        return {index * band_height_, std::min(height_, (index + 1) * band_height_)};
    }

    Span strip(std::ptrdiff_t index) const {
        return {index * width_ / strips_, (index + 1) * width_ / strips_};
    }

  private:
    std::ptrdiff_t height_, width_, strips_, band_height_;
};

}  // namespace refusion
