#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "refusion/tensor.hpp"

namespace refusion {

// The full fusion module (ReFusion, IJCV 2024, section 3.2) on the CPU in float32: the function that
// refusion.models.FusionModule computes, to about 1e-6. Tiles of the picture stay in the cache through a
// whole transformer block, so that a block reads and writes the feature maps once. Needs 128 bytes a pixel.
class FusionNetwork {
  public:
    // `tensors` by the names of FusionModule's state dict. `instruction_set`: "avx512", "avx2", "baseline",
    // "neon"; empty for the best that this machine has. `threads`: most that a run may use, the calling one
    // included; 0 for all of the pool. Throws std::invalid_argument for a missing tensor, a wrong shape or an
    // instruction set that is not there.
    FusionNetwork(const Tensors& tensors, const std::string& instruction_set = {}, int threads = 0);
    ~FusionNetwork();
    FusionNetwork(const FusionNetwork&) = delete;
    FusionNetwork& operator=(const FusionNetwork&) = delete;

    // Fuses `count` pairs of `height` x `width`: sources (count, 2, height, width) in [0, 1], fused (count,
    // 1, height, width) in (0, 1), both contiguous. The bits do not depend on the number of threads. Any
    // number of threads may call at once, each with that much memory. Throws std::bad_alloc.
    void run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
             float* fused);

    std::string instruction_set() const;

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace refusion
