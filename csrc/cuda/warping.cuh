#pragma once

#include "pixels.cuh"
#include "refusion/cuda_ops.hpp"
#include "refusion/sampling.hpp"
#include "refusion/warp.hpp"
#include "tiling.hpp"

// Luma of a source through a warp: plan on the host, body of a thread.
namespace refusion::cuda {

using Node = Words<2>;  // x and y

template <class Value>
struct WarpedJob {
    Source source;
    Source instead;  // of the output's size
    const Node* nodes = nullptr;
    int node_rows = 0;
    int node_columns = 0;
    FadeBox box{};
    Value* out = nullptr;
    int width = 0;
    Tiling tiling;
};

template <class Value>
WarpedJob<Value> warped_job(const CudaImage& image, const CudaWarp& warp, const CudaImage& instead,
                            Value* out, std::ptrdiff_t height, std::ptrdiff_t width) {
    WarpedJob<Value> job;
    job.source = source_of(image);
    job.instead = source_of(instead);
    job.nodes = reinterpret_cast<const Node*>(warp.nodes);
    job.node_rows = static_cast<int>(warp_nodes(height));
    job.node_columns = static_cast<int>(warp_nodes(width));
    job.box = warp.box;
    job.out = out;
    job.width = static_cast<int>(width);
    job.tiling = Tiling::of(width, height);
    return job;
}

struct Place {
    float u, v;
};

REFUSION_INLINE Place place_between(Place first, Place second, float share) {
    return {kernels::between(first.u, second.u, share), kernels::between(first.v, second.v, share)};
}

template <class Value>
REFUSION_INLINE Place place_of(const WarpedJob<Value>& job, int x, int y) {
    constexpr int kStep = int{kWarpStep};
    const int column = x / kStep, row = y / kStep;
    const int next_column = column + 1 < job.node_columns ? column + 1 : column;
    const int next_row = row + 1 < job.node_rows ? row + 1 : row;
    const auto node = [&job](int at_row, int at_column) {
        const Node at = job.nodes[at_row * job.node_columns + at_column];
        return Place{float_of(at.word[0]), float_of(at.word[1])};
    };
    const auto share = [](int at) { return static_cast<float>(at % kStep) / static_cast<float>(kStep); };
    // Down first, then along: the order of the definition, for the same bits.
    const Place before = place_between(node(row, column), node(next_row, column), share(y));
    const Place after = place_between(node(row, next_column), node(next_row, next_column), share(y));
    return place_between(before, after, share(x));
}

// Sampled bilinearly, the border repeated.
REFUSION_INLINE float sampled_luma(const Source& source, Place place) {
    const float u = kernels::inside(place.u, static_cast<float>(source.width - 1));
    const float v = kernels::inside(place.v, static_cast<float>(source.height - 1));
    const int x = static_cast<int>(u), y = static_cast<int>(v);
    const int next_x = x + 1 < source.width ? x + 1 : x, next_y = y + 1 < source.height ? y + 1 : y;
    const float right = u - static_cast<float>(x), down = v - static_cast<float>(y);
    const float above = kernels::between(luma_at(source, x, y), luma_at(source, next_x, y), right);
    const float below = kernels::between(luma_at(source, x, next_y), luma_at(source, next_x, next_y), right);
    return kernels::between(above, below, down);
}

template <class Value>
REFUSION_INLINE void write_luma(const WarpedJob<Value>& job, int block, int thread) {
    const Cell cell = cell_of(job.tiling, block, thread);
    if (!cell.is_inside) {
        return;
    }
    const Place place = place_of(job, cell.column, cell.row);
    constexpr float kPerPixel = 1.0f / kFadePixels;
    const float across = kernels::share_between(place.u, job.box.left, job.box.right, kPerPixel);
    const float along = kernels::share_between(place.v, job.box.top, job.box.bottom, kPerPixel);
    const float share = across < along ? across : along;
    // Most pixels need one of the two only; the other then counts for nothing.
    const float shown = share > 0.0f ? sampled_luma(job.source, place) : 0.0f;
    const float instead = share < 1.0f ? luma_at(job.instead, cell.column, cell.row) : shown;
    store(job.out + static_cast<std::ptrdiff_t>(cell.row) * job.width + cell.column,
          kernels::between(instead, shown, share) * kernels::kPerLevel);
}

}  // namespace refusion::cuda
