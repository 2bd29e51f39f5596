#pragma once

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "refusion/colour.hpp"
#include "tiling.hpp"
#include "words.cuh"

// The output range on the device: what refusion.ranges.OutputRange does, whose constants these are.
namespace refusion::cuda {

using kernels::Stretch;

constexpr double kHeadroom = 0.02;
constexpr double kBand = 0.06;
constexpr double kExpansion = 0.1;
constexpr double kContraction = 0.02;
constexpr double kLargestStep = 0.01;
constexpr double kLeastRange = 0.2;
constexpr float kShoulder = 10.0f;
constexpr double kSceneCut = 0.15;
constexpr int kCutStride = 8;

// More blocks than any GPU runs at once would only leave more to combine.
constexpr int kMaxRangeBlocks = 512;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What is known of a part of the fused luma.
struct alignas(16) RangePart {
    float low;  // of finite values
    float high;
    double change;  // sum of absolute differences to the thumbnail before
};

// Lies at the start of the state; all zeros: nothing was seen.
struct alignas(16) RangeHeader {
    double low;  // tracked
    double high;
    Stretch stretch;           // for the picture
    std::uint32_t is_usable;   // otherwise the values stay as they are
    std::uint32_t is_tracked;  // low, high and the thumbnail are those of a frame before
    std::uint32_t blocks_done;
};

// The state's parts: header, a RangePart a block, the thumbnail.
struct RangeState {
    RangeHeader* header = nullptr;
    RangePart* parts = nullptr;
    float* thumbnail = nullptr;
};

constexpr int thumbnail_length(std::ptrdiff_t pixels) {
    return static_cast<int>((pixels + kCutStride - 1) / kCutStride);
}

inline std::size_t range_state_bytes(std::ptrdiff_t height, std::ptrdiff_t width) {
    return sizeof(RangeHeader) + kMaxRangeBlocks * sizeof(RangePart) +
           sizeof(float) * static_cast<std::size_t>(thumbnail_length(height)) *
               static_cast<std::size_t>(thumbnail_length(width));
}

inline RangeState range_state(std::uintptr_t state) {
    const std::uintptr_t parts = state + sizeof(RangeHeader);
    return {reinterpret_cast<RangeHeader*>(state), reinterpret_cast<RangePart*>(parts),
            reinterpret_cast<float*>(parts + kMaxRangeBlocks * sizeof(RangePart))};
}

template <class Value>
struct RangeJob {
    const Value* fused = nullptr;
    int width = 0;
    int pixels = 0;
    int thumbnail_width = 0;
    int thumbnail_pixels = 0;
    bool is_wide = false;
    bool is_tracked = false;
    int blocks = 1;
    RangeState state;
};

template <class Value>
RangeJob<Value> range_job(const Value* fused, std::ptrdiff_t height, std::ptrdiff_t width,
                          std::uintptr_t state, bool is_tracked) {
    RangeJob<Value> job;
    job.fused = fused;
    job.width = static_cast<int>(width);
    job.pixels = static_cast<int>(height * width);
    job.thumbnail_width = thumbnail_length(width);
    job.thumbnail_pixels = job.thumbnail_width * thumbnail_length(height);
    job.is_wide = reinterpret_cast<std::uintptr_t>(fused) % 16 == 0;
    job.is_tracked = is_tracked;
    const int blocks = (job.pixels + kPiecePixels * kThreads - 1) / (kPiecePixels * kThreads);
    job.blocks = blocks < kMaxRangeBlocks ? blocks : kMaxRangeBlocks;
    job.state = range_state(state);
    return job;
}

REFUSION_INLINE RangePart nothing_seen() { return {kInfinity, -kInfinity, 0.0}; }

REFUSION_INLINE void extend(RangePart& part, float value) {
    if (std::fabs(value) <= FLT_MAX) {
        part.low = value < part.low ? value : part.low;
        part.high = value > part.high ? value : part.high;
    }
}

REFUSION_INLINE void combine(RangePart& part, const RangePart& other) {
    part.low = other.low < part.low ? other.low : part.low;
    part.high = other.high > part.high ? other.high : part.high;
    part.change += other.change;
}

// One level of the tree that combines the parts of a block's threads: thread 0 has the whole after the last,
// of stride 1. The threads meet between two levels.
REFUSION_INLINE void combine_across(RangePart* parts, int thread, int stride) {
    if (thread < stride) {
        combine(parts[thread], parts[thread + stride]);
    }
}

// One thread's part of the fused luma. The thumbnail is replaced on the way: each of its pixels has one
// thread.
template <class Value>
REFUSION_INLINE RangePart scan(const RangeJob<Value>& job, int block, int thread) {
    RangePart part = nothing_seen();
    const int first = block * kThreads + thread, stride = job.blocks * kThreads;
    const int pieces = job.is_wide ? job.pixels / kPiecePixels : 0;
    for (int i = first; i < pieces; i += stride) {
        ValuePiece<Value> piece;
        piece.load(job.fused + static_cast<std::ptrdiff_t>(i) * kPiecePixels);
        REFUSION_UNROLL
        for (int j = 0; j < kPiecePixels; ++j) {
            extend(part, value_at(piece, j));
        }
    }
    for (int i = pieces * kPiecePixels + first; i < job.pixels; i += stride) {
        extend(part, to_float(job.fused[i]));
    }
    for (int i = first; job.is_tracked && i < job.thumbnail_pixels; i += stride) {
        const int row = i / job.thumbnail_width, column = i - row * job.thumbnail_width;
        const std::ptrdiff_t y = std::ptrdiff_t{row} * kCutStride, x = std::ptrdiff_t{column} * kCutStride;
        const float value = to_float(job.fused[y * job.width + x]);
        // Memory that was never written may hold anything, but then nothing is made of the sum.
        part.change += static_cast<double>(std::fabs(value - job.state.thumbnail[i]));
        job.state.thumbnail[i] = value;
    }
    return part;
}

// What a thread of the last block combines of all blocks' parts.
REFUSION_INLINE RangePart load_part(const RangePart* part) {
#if defined(__CUDA_ARCH__)
    // Past the first-level cache, which does not see what other multiprocessors write.
    const float4 raw = __ldcg(reinterpret_cast<const float4*>(part));
    return {raw.x, raw.y, __hiloint2double(__float_as_int(raw.w), __float_as_int(raw.z))};
#else
    return *part;
#endif
}

template <class Value>
REFUSION_INLINE RangePart gather_parts(const RangeJob<Value>& job, int thread) {
    RangePart part = nothing_seen();
    for (int i = thread; i < job.blocks; i += kThreads) {
        combine(part, load_part(job.state.parts + i));
    }
    return part;
}

REFUSION_INLINE void choose(RangeHeader& header, double low, double high, float shoulder) {
    const float low32 = static_cast<float>(low), high32 = static_cast<float>(high);
    header.is_usable = low32 < high32;
    header.stretch = kernels::stretch_between(low32, high32, shoulder);
}

struct Bounds {
    double low;
    double high;
};

REFUSION_INLINE double least_of(double a, double b) { return b < a ? b : a; }
REFUSION_INLINE double greatest_of(double a, double b) { return b > a ? b : a; }

// With a margin on both sides, inside of [0, 1] and not too narrow.
REFUSION_INLINE Bounds widened(Bounds extremes, double margin) {
    const double width = extremes.high - extremes.low;
    const double wider = greatest_of(margin * width, 0.5 * (kLeastRange - width));
    return {greatest_of(least_of(extremes.low - wider, 1.0 - kLeastRange), 0.0),
            least_of(greatest_of(extremes.high + wider, kLeastRange), 1.0)};
}

// How far a bound moves outwards, given how far the extreme is outside of it.
REFUSION_INLINE double bound_step(double outwards, double width) {
    if (outwards > 0.0) {
        return least_of(kExpansion * outwards, kLargestStep * width);
    }
    const double inwards = -outwards - kBand * width;
    return inwards > 0.0 ? -least_of(kContraction * inwards, kLargestStep * width) : 0.0;
}

REFUSION_INLINE Bounds moved(Bounds tracked, Bounds extremes) {
    const double width = tracked.high - tracked.low;
    return {tracked.low - bound_step(tracked.low - extremes.low, width),
            tracked.high + bound_step(extremes.high - tracked.high, width)};
}

// The end of the update, by one thread.
template <class Value>
REFUSION_INLINE void follow(const RangeJob<Value>& job, const RangePart& whole) {
    RangeHeader& header = *job.state.header;
    const bool is_any_finite = whole.low <= whole.high;
    const double low = is_any_finite ? whole.low : 0.0, high = is_any_finite ? whole.high : 0.0;
    if (!job.is_tracked) {
        choose(header, low, high, 0.0f);
        return;
    }
    // A change that is no number is no cut.
    const bool is_cut = whole.change / job.thumbnail_pixels > kSceneCut;
    const bool goes_on = header.is_tracked && !is_cut;
    const Bounds extremes = {least_of(greatest_of(low, 0.0), 1.0), least_of(greatest_of(high, 0.0), 1.0)};
    const Bounds next =
        goes_on ? moved({header.low, header.high}, widened(extremes, 0.0)) : widened(extremes, kHeadroom);
    header.low = next.low;
    header.high = next.high;
    header.is_tracked = 1;
    choose(header, next.low, next.high, kShoulder);
}

}  // namespace refusion::cuda
