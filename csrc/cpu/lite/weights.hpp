#pragma once

#include <vector>

#include "refusion/tensor.hpp"

namespace refusion::lite {

// A convolution of the network at low resolution, as the kernels want it: [place][channel].
struct Convolution {
    std::vector<float> weights;
    std::vector<float> bias;
    std::ptrdiff_t used;      // output channels
    std::ptrdiff_t channels;  // the same, made up to a multiple of 16 with channels that are zero
};

// What the means of the maps say about the whole picture: two linear layers with a ReLU between them.
struct Context {
    std::vector<float> hidden_weights;  // [unit][mean]
    std::vector<float> hidden_bias;
    std::vector<float> effect_weights;  // [shift of the first block, then gain of the last map][unit]
    std::vector<float> effect_bias;
};

// The whole network.
struct Weights {
    Convolution stem;                 // [source][row][column][channel], 4x4, from bands of 4x4 pixels
    Convolution middle;               // [row][column][input channel][channel], 3x3, every second place
    Convolution bottom;               // likewise
    std::vector<Convolution> blocks;  // 3x3
    Context context;
    Convolution output;           // 1x1, the coefficients
    std::vector<float> features;  // [group][source][row][column][feature of the group]
    std::vector<float> feature_bias;
    std::ptrdiff_t feature_count;  // made up to a multiple of kFeatureGroup
};

// Takes the tensors of LiteModule's state dict. Throws std::invalid_argument where one is missing, unknown,
// of another shape, or not finite.
Weights packed(const Tensors& tensors);

}  // namespace refusion::lite
