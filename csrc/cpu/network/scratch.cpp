#include "scratch.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace refusion {
namespace {

// The widest use: a block's rings and rows, with 256 channels before the gate.
constexpr std::size_t kFloats = std::size_t{kRowPixels} * 2560;
constexpr std::size_t kLine = 16;

}  // namespace

ScratchPool::Lease ScratchPool::lease() {
    {
        const std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            AlignedFloats memory = std::move(free_.back());
            free_.pop_back();
            return {*this, std::move(memory)};
        }
    }
    return {*this, AlignedFloats(kFloats)};
}

void ScratchPool::give_back(AlignedFloats memory) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(memory));
}

float* ScratchPool::Lease::take(std::ptrdiff_t count) {
    float* const begin = memory_.get() + used_;
    used_ += (static_cast<std::size_t>(count) + kLine - 1) / kLine * kLine;
    if (used_ > memory_.size()) {
        throw std::logic_error("a tile needs more scratch memory than was planned for");
    }
    return begin;
}

void Margins::clear(float* row) const {
    std::fill_n(row, left_, 0.0f);
    std::fill_n(row + right_begin_, right_, 0.0f);
}

}  // namespace refusion
