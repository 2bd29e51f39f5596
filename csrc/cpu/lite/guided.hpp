#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "planes.hpp"

namespace refusion::lite {

// One pair of sources.
struct Sources {
    const float* a;
    const float* b;
    std::ptrdiff_t height, width;
};

// What one call keeps between the passes of the guided step: planes of small pixels.
struct Workspace {
    Workspace(std::ptrdiff_t source_height, std::ptrdiff_t source_width)
        : height((source_height + kStride - 1) / kStride),
          width((source_width + kStride - 1) / kStride),
          small(height, width),
          moments(height, width),
          fits(height, width),
          coefficients(height, width) {}

    bool is_for(std::ptrdiff_t source_height, std::ptrdiff_t source_width) const {
        return height == (source_height + kStride - 1) / kStride &&
               width == (source_width + kStride - 1) / kStride;
    }

    std::ptrdiff_t height, width;  // small pixels
    Planes<3> small;               // both sources, fused
    Planes<kMoments> moments;
    Planes<kCoefficients> fits;
    Planes<kCoefficients + 1> coefficients;
};

// The steps of refusion/models/lite.py before and after the network within, in bands of rows on several
// threads.
class Guided {
  public:
    Guided(const Kernels& kernels, const Sources& sources, int threads, Workspace& space)
        : kernels_(kernels), sources_(sources), threads_(threads), space_(space) {}

    // Averages the sources to small pictures.
    void pool() const;
    // From small pictures, the fused one among them, to the full one.
    void finish(float* fused) const;

  private:
    void pool_rows(std::ptrdiff_t begin, std::ptrdiff_t end) const;
    void sum_moments(std::ptrdiff_t begin, std::ptrdiff_t end) const;
    void fit(std::ptrdiff_t begin, std::ptrdiff_t end) const;
    void average(std::ptrdiff_t begin, std::ptrdiff_t end) const;
    void apply(std::ptrdiff_t begin, std::ptrdiff_t end, float* fused) const;

    const Kernels& kernels_;
    const Sources& sources_;
    const int threads_;
    Workspace& space_;
};

}  // namespace refusion::lite
