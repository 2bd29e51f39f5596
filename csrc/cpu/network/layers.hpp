#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "refusion/fusion_network.hpp"

namespace refusion {

// A 1x1 convolution that reads and writes part of the channels of a pixel.
struct Part {
    const PointwiseKernel* kernel = nullptr;
    std::ptrdiff_t in_offset = 0;
    std::ptrdiff_t out_offset = 0;
    std::vector<float> weights;  // packed
    std::vector<float> bias;     // unless it starts from a residual
};

// Layer norm (its scale and shift are in the weights of the parts), 1x1 convolutions, and the depthwise 3x3
// that follows them all.
struct Projected {
    void (*normalise)(const float* in, float* out, std::ptrdiff_t pixels) = nullptr;  // null: none
    std::vector<Part> parts;
    std::ptrdiff_t channels = 0;   // of all parts together
    std::vector<float> depthwise;  // (9, channels)
};

// Attention across the channels of one block: what its matrix is made from.
struct Attention {
    std::ptrdiff_t channels = 0;
    std::ptrdiff_t head_channels = 0;
    Gram gram = nullptr;
    Projected queries_and_keys;
    std::vector<float> temperature;  // of each head
    // Mix after the attention, (out, in) as PyTorch has it, one for each group of channels on its own.
    std::vector<std::vector<float>> mixes;
};

// A block: attention, then gated feed-forward, each added to what went in. Cross-attention is one too, whose
// parts connect the sources.
struct Block {
    std::ptrdiff_t channel = 0;  // the first of the pixel's that it works on
    std::ptrdiff_t channels = 0;
    Gather gather = nullptr;
    Attention attention;
    Projected values;
    std::vector<Part> mix;  // weights for one picture: see attention_matrices
    Projected gate;
    Part out;
};

// Everything between the input convolutions and the head, in the order of computation; blocks of one stage
// work on different channels.
struct Layers {
    Layers(const Tensors& tensors, const NetworkKernels& kernels);

    std::vector<float> input_a, input_b;     // (9, 16)
    std::vector<std::vector<Block>> stages;  // encoders, cross-attention, decoder
    std::vector<float> head;                 // packed
    std::vector<float> output;               // (9, 16)
};

}  // namespace refusion
