#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

#include "kernels.hpp"
#include "passes.hpp"
#include "refusion/lite_network.hpp"
#include "refusion/thread_pool.hpp"
#include "weights.hpp"
#include "workspace.hpp"

namespace refusion {
namespace {

// Bands that each thread has of a pass: small ones are shared evenly though other work takes turns with ours,
// large ones make fewer rows twice at their borders.
constexpr std::ptrdiff_t kBandsPerThread = 4;

// Calls body(slot, begin, end) for bands that together cover the rows; a slot is used by one thread at a
// time.
void for_bands(std::vector<lite::Slot>& slots, std::ptrdiff_t rows,
               const std::function<void(lite::Slot&, std::ptrdiff_t, std::ptrdiff_t)>& body) {
    const auto count = static_cast<std::ptrdiff_t>(slots.size());
    const std::ptrdiff_t bands = count * kBandsPerThread;
    const std::ptrdiff_t band = (rows + bands - 1) / bands;
    std::atomic<std::ptrdiff_t> next{0};
    parallel_for(count, 1, [&](std::ptrdiff_t slot, std::ptrdiff_t) {
        for (;;) {
            const std::ptrdiff_t begin = next.fetch_add(band, std::memory_order_relaxed);
            if (begin >= rows) {
                return;
            }
            body(slots[static_cast<std::size_t>(slot)], begin, std::min(begin + band, rows));
        }
    });
}

}  // namespace

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

}  // namespace lite

class LiteNetwork::Implementation {
  public:
    Implementation(const Tensors& tensors, InstructionSet instruction_set, int threads)
        : instruction_set_(instruction_set),
          weights_(lite::packed(tensors)),
          network_{weights_, lite::kernels(instruction_set)},
          threads_(threads) {}

    ~Implementation() { delete spare_.load(); }

    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

    InstructionSet instruction_set() const { return instruction_set_; }

    void run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
             float* fused) {
        const int threads = threads_ > 0 ? std::min(threads_, thread_count()) : thread_count();
        std::unique_ptr<lite::Workspace> space(spare_.exchange(nullptr));
        if (!space || !space->fits(height, width, threads)) {
            space = std::make_unique<lite::Workspace>(weights_, height, width, threads);
        }
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            fuse({sources + 2 * i * height * width, height, width}, *space, fused + i * height * width);
        }
        delete spare_.exchange(space.release());
    }

  private:
    void fuse(const lite::Planes& planes, lite::Workspace& space, float* fused) const {
        for_bands(space.slots, space.rows, [&](lite::Slot& slot, std::ptrdiff_t begin, std::ptrdiff_t end) {
            lite::make_cells(network_, planes, space, slot, begin, end);
        });
        lite::adapt_to_picture(network_, space);
        for (std::size_t block = 0; block < weights_.blocks.size(); ++block) {
            for_bands(space.slots, space.rows, [&](lite::Slot&, std::ptrdiff_t begin, std::ptrdiff_t end) {
                for (std::ptrdiff_t row = begin; row < end; ++row) {
                    lite::make_block(network_, block, space, row);
                }
            });
        }
        for_bands(space.slots, planes.height,
                  [&](lite::Slot& slot, std::ptrdiff_t begin, std::ptrdiff_t end) {
                      lite::make_pixels(network_, planes, space, slot, begin, end, fused);
                  });
    }

    const InstructionSet instruction_set_;
    const lite::Weights weights_;
    const lite::Network network_;
    const int threads_;
    // Of an earlier call, for the next one. An atomic, not a mutex: a mutex that another thread holds during
    // fork() would stay locked in the child.
    std::atomic<lite::Workspace*> spare_{nullptr};
};

LiteNetwork::LiteNetwork(const Tensors& tensors, const std::string& instruction_set, int threads)
    : implementation_(
          std::make_unique<Implementation>(tensors, instruction_set_named(instruction_set), threads)) {}

LiteNetwork::~LiteNetwork() = default;

std::string LiteNetwork::instruction_set() const { return name_of(implementation_->instruction_set()); }

void LiteNetwork::run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
                      float* fused) const {
    implementation_->run(sources, count, height, width, fused);
}

}  // namespace refusion
