#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "refusion/tensor.hpp"

namespace refusion {

// The lite network (refusion/models/lite.py) on the CPU in float32. Needs 13 bytes a pixel, and some rows
// for each thread.
class LiteNetwork {
  public:
    // Copies the tensors, which have the names of LiteModule's state dict. `instruction_set`: "avx512",
    // "avx2", "baseline", "neon"; empty for the best that this machine has. `threads`: most that a run may
    // use, the calling one included; 0 for all of the pool. Throws std::invalid_argument for a tensor that is
    // missing, unknown, of another shape or not finite, and for an instruction set that is not there.
    explicit LiteNetwork(const Tensors& tensors, const std::string& instruction_set = {}, int threads = 0);
    ~LiteNetwork();
    LiteNetwork(const LiteNetwork&) = delete;
    LiteNetwork& operator=(const LiteNetwork&) = delete;

    // Fuses `count` pairs of `height` x `width`: sources (count, 2, height, width) in [0, 1], fused (count,
    // 1, height, width) in [0, 1], both contiguous. The bits do not depend on the number of threads. Any
    // number of threads may call at once. Throws std::bad_alloc.
    void run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
             float* fused) const;

    std::string instruction_set() const;

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace refusion
