#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "refusion/colour.hpp"

// The inner loops, over short runs of pixels whose channels lie apart. Compiled several times, for the
// vector units that a processor may have; the loader picks. Pointers of one call must not overlap.
namespace refusion::kernels {

// Longest run that callers pass. All buffers of a run together (14 KiB) must fit the first-level cache; at
// half the length the processor prefetches less well, and 1920x1080 takes up to twice as long.
constexpr std::ptrdiff_t kMaxRun = 1024;

// A run of pixels with its channels apart. One object rather than three pointers: the compiler then knows
// that the channels do not overlap, without which it does not vectorise. Aligned to cache lines: vectors that
// straddle two of them are not forwarded from store to load.
struct Bgr {
    alignas(64) std::uint8_t b[kMaxRun];
    alignas(64) std::uint8_t g[kMaxRun];
    alignas(64) std::uint8_t r[kMaxRun];
};

void deinterleave(const std::uint8_t* pixels, std::ptrdiff_t n, Bgr& out);
void interleave(const Bgr& pixels, std::ptrdiff_t n, std::uint8_t* out);

// BT.601 luma / 255 of colour and of gray.
void luma_of_bgr(const Bgr& pixels, std::ptrdiff_t n, float* out);
void luma_of_gray(const std::uint8_t* pixels, std::ptrdiff_t n, float* out);

bool all_gray(const Bgr& pixels, std::ptrdiff_t n);

// Least and greatest finite value so far, in independent lanes: one running minimum would be a chain that the
// compiler may not reorder. The values looked for are the extremes over the lanes.
struct RangeLanes {
    static constexpr std::ptrdiff_t kLanes = 32;

    RangeLanes() {
        std::fill_n(low, kLanes, std::numeric_limits<float>::infinity());
        std::fill_n(high, kLanes, -std::numeric_limits<float>::infinity());
    }

    float low[kLanes];
    float high[kLanes];
};

void extend_range(const float* values, std::ptrdiff_t n, RangeLanes& range);

// The finished picture: stretched luma with no chroma, with the chroma of one source, with both merged.
void finish_gray(const float* fused, std::ptrdiff_t n, Stretch stretch, std::uint8_t* out);
void finish_one(const float* fused, const Bgr& source, std::ptrdiff_t n, Stretch stretch, Bgr& out);
void finish_both(const float* fused, const Bgr& a, const Bgr& b, std::ptrdiff_t n, Stretch stretch, Bgr& out);

}  // namespace refusion::kernels
