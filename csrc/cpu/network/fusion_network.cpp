#include "refusion/fusion_network.hpp"

#include <algorithm>

#include "../spare.hpp"
#include "passes.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {

const NetworkKernels& network_kernels(InstructionSet instruction_set) {
    switch (instruction_set) {
#if defined(__x86_64__)
        case InstructionSet::kAvx512:
            return avx512::kNetworkKernels;
#if defined(REFUSION_BFLOAT16)
        case InstructionSet::kAvx512Bf16:
            return avx512_bf16::kNetworkKernels;
#endif
        case InstructionSet::kAvx2:
            return avx2::kNetworkKernels;
#endif
        default:
            return baseline::kNetworkKernels;
    }
}

class FusionNetwork::Implementation {
  public:
    Implementation(const Tensors& tensors, InstructionSet instruction_set, int threads)
        : instruction_set_(instruction_set),
          kernels_(network_kernels(instruction_set)),
          layers_(tensors, kernels_),
          threads_(threads) {}

    void run(const float* a, const float* b, std::ptrdiff_t height, std::ptrdiff_t width, float* fused) {
        std::unique_ptr<Workspace> space = spare_.take(&std::make_unique<Workspace>);
        const int threads = threads_ > 0 ? std::min(threads_, thread_count()) : thread_count();
        const Tiling tiling(height, width, threads);
        space->map.resize(height, width);
        const Pass pass{kernels_, tiling, space->map, space->scratch, threads};
        input_pass(pass, layers_, a, b);
        for (const std::vector<Block>& blocks : layers_.stages) {
            block_pass(pass, blocks, gram_pass(pass, blocks));
        }
        output_pass(pass, layers_, fused);
        spare_.keep(std::move(space));
    }

    InstructionSet instruction_set() const { return instruction_set_; }

  private:
    struct Workspace {
        FeatureMap map;
        ScratchPool scratch;
    };

    const InstructionSet instruction_set_;
    const NetworkKernels& kernels_;
    const Layers layers_;
    const int threads_;
    Spare<Workspace> spare_;
};

FusionNetwork::FusionNetwork(const Tensors& tensors, const std::string& instruction_set, int threads)
    : implementation_(
          std::make_unique<Implementation>(tensors, instruction_set_named(instruction_set), threads)) {}

FusionNetwork::~FusionNetwork() = default;

void FusionNetwork::run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height,
                        std::ptrdiff_t width, float* fused) {
    const std::ptrdiff_t plane = height * width;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        const float* const pair = sources + 2 * i * plane;
        implementation_->run(pair, pair + plane, height, width, fused + i * plane);
    }
}

std::string FusionNetwork::instruction_set() const { return name_of(implementation_->instruction_set()); }

}  // namespace refusion
