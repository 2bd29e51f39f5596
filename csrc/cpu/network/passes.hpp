#pragma once

#include <functional>
#include <vector>

#include "feature_map.hpp"
#include "layers.hpp"
#include "scratch.hpp"
#include "tiling.hpp"

// The passes over the picture that the network consists of. Each cuts it into tiles, and takes a tile through
// all its steps while it is in the cache.
namespace refusion {

// What every pass works with.
struct Pass {
    const NetworkKernels& kernels;
    const Tiling& tiling;
    FeatureMap& map;
    ScratchPool& scratch;
    int threads;

    // Calls body for each band, on several threads; throws what one of them threw.
    void for_each_band(const std::function<void(std::ptrdiff_t index, Span band)>& body) const;
};

// The sources, (height, width) each, through their input convolutions into the map.
void input_pass(const Pass& pass, const Layers& layers, const float* a, const float* b);

// Reads the map: packed weights for the `mix` of each block, its attention matrix and output convolution in
// one.
std::vector<std::vector<std::vector<float>>> gram_pass(const Pass& pass, const std::vector<Block>& blocks);

// Replaces the map by what the blocks make of it, with the mixes of gram_pass.
void block_pass(const Pass& pass, const std::vector<Block>& blocks,
                const std::vector<std::vector<std::vector<float>>>& mixes);

// The map through the head and the output convolution into the fused luma, (height, width).
void output_pass(const Pass& pass, const Layers& layers, float* fused);

}  // namespace refusion
