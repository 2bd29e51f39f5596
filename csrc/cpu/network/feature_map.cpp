#include "feature_map.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace refusion {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kLargePage = std::size_t{2} << 20;

}  // namespace

AlignedFloats::AlignedFloats(std::size_t count) : size_(count) {
    if (count == 0) {
        return;
    }
    if (count > static_cast<std::size_t>(-1) / sizeof(float) - kLargePage) {
        throw std::bad_alloc();
    }
    const std::size_t alignment = count * sizeof(float) >= kLargePage ? kLargePage : kCacheLine;
    const std::size_t bytes = (count * sizeof(float) + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<float*>(std::aligned_alloc(alignment, bytes)));
    if (!data_) {
        throw std::bad_alloc();
    }
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment == kLargePage) {
        // A wish: without large pages it works all the same.
        (void)madvise(data_.get(), bytes, MADV_HUGEPAGE);
    }
#endif
    std::memset(data_.get(), 0, bytes);
}

void AlignedFloats::Free::operator()(float* data) const { std::free(data); }

void FeatureMap::resize(std::ptrdiff_t height, std::ptrdiff_t width) {
    const auto needed = static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * kPixelFloats;
    if (needed > memory_.size() || needed < memory_.size() / 4) {
        memory_ = AlignedFloats();  // both at once would double the peak
        memory_ = AlignedFloats(needed);
    }
    height_ = height;
    width_ = width;
}

}  // namespace refusion
