#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "feature_map.hpp"
#include "kernels.hpp"
#include "tiling.hpp"

namespace refusion {

// Memory for one thread's tile, kept from one to the next.
class ScratchPool {
  public:
    // A piece of memory; given back when it goes.
    class Lease {
      public:
        Lease(ScratchPool& pool, AlignedFloats memory) : pool_(pool), memory_(std::move(memory)) {}
        ~Lease() { pool_.give_back(std::move(memory_)); }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;

        // The next `count` floats, on a cache line. Throws std::logic_error when the memory is used up.
        float* take(std::ptrdiff_t count);

      private:
        ScratchPool& pool_;
        AlignedFloats memory_;
        std::size_t used_ = 0;
    };

    Lease lease();

  private:
    void give_back(AlignedFloats memory);

    std::mutex mutex_;
    std::vector<AlignedFloats> free_;
};

// The last rows of a strip, as many as a 3x3 convolution needs to give two.
class RowRing {
  public:
    RowRing(ScratchPool::Lease& lease, std::ptrdiff_t channels)
        : row_floats_(kRowPixels * channels), rows_(lease.take(kRows * row_floats_)) {}

    float* row(std::ptrdiff_t y) const { return rows_ + (y & (kRows - 1)) * row_floats_; }

    // What the convolution of rows y and y + 1 reads.
    FourRows around_pair(std::ptrdiff_t y) const { return {row(y - 1), row(y), row(y + 1), row(y + 2)}; }
    ThreeRows around(std::ptrdiff_t y) const { return {row(y - 1), row(y), row(y + 1)}; }

  private:
    static constexpr std::ptrdiff_t kRows = 4;
    std::ptrdiff_t row_floats_;
    float* rows_;
};

// Pixels of a strip's row in scratch memory that lie left and right of the picture, which convolutions take
// for zero. `halo` is how many the row has beside the strip.
class Margins {
  public:
    Margins(Span strip, std::ptrdiff_t width, std::ptrdiff_t halo, std::ptrdiff_t channels)
        : left_(strip.begin == 0 ? halo * channels : 0),
          right_begin_((strip.size() + halo) * channels),
          right_(strip.end == width ? halo * channels : 0) {}

    void clear(float* row) const;

  private:
    std::ptrdiff_t left_, right_begin_, right_;
};

}  // namespace refusion
