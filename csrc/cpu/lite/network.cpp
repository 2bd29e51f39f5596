#include <algorithm>
#include <stdexcept>

#include "../spare.hpp"
#include "guided.hpp"
#include "refusion/fusion_network.hpp"
#include "refusion/lite_network.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {
namespace lite {

const Kernels& kernels(InstructionSet instruction_set) {
#if defined(__x86_64__)
    if (instruction_set == InstructionSet::kAvx512 || instruction_set == InstructionSet::kAvx512Bf16) {
        return avx512::kLiteKernels;
    }
    if (instruction_set == InstructionSet::kAvx2) {
        return avx2::kLiteKernels;
    }
#else
    static_cast<void>(instruction_set);
#endif
    return baseline::kLiteKernels;
}

namespace {

// The tensors of the network within, by its own names.
Tensors of_fusion(const Tensors& tensors) {
    static const std::string prefix = "fusion.";
    Tensors own;
    for (const auto& [name, tensor] : tensors) {
        if (name.compare(0, prefix.size(), prefix) != 0) {
            throw std::invalid_argument("the tensor " + name + " is not of this network");
        }
        own[name.substr(prefix.size())] = tensor;
    }
    return own;
}

}  // namespace
}  // namespace lite

class LiteNetwork::Implementation {
  public:
    Implementation(const Tensors& tensors, const std::string& instruction_set, int threads)
        : network_(lite::of_fusion(tensors), instruction_set, threads),
          kernels_(lite::kernels(instruction_set_named(instruction_set))),
          threads_(threads) {}

    void run(const lite::Sources& sources, float* fused) {
        const int threads = threads_ > 0 ? std::min(threads_, thread_count()) : thread_count();
        const auto make = [&] { return std::make_unique<lite::Workspace>(sources.height, sources.width); };
        std::unique_ptr<lite::Workspace> space = spare_.take(make);
        if (!space->is_for(sources.height, sources.width)) {
            space = make();
        }
        const lite::Guided guided(kernels_, sources, threads, *space);
        guided.pool();
        network_.run(space->small.plane(0), 1, space->height, space->width, space->small.plane(2));
        guided.finish(fused);
        spare_.keep(std::move(space));
    }

    std::string instruction_set() const { return network_.instruction_set(); }

  private:
    FusionNetwork network_;
    const lite::Kernels& kernels_;
    const int threads_;
    Spare<lite::Workspace> spare_;
};

LiteNetwork::LiteNetwork(const Tensors& tensors, const std::string& instruction_set, int threads)
    : implementation_(std::make_unique<Implementation>(tensors, instruction_set, threads)) {}

LiteNetwork::~LiteNetwork() = default;

std::string LiteNetwork::instruction_set() const { return implementation_->instruction_set(); }

void LiteNetwork::run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
                      float* fused) const {
    const std::ptrdiff_t plane = height * width;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        const float* const pair = sources + 2 * i * plane;
        implementation_->run({pair, pair + plane, height, width}, fused + i * plane);
    }
}

}  // namespace refusion
