#pragma once

#include <cstddef>

#include "activation.hpp"
#include "kernels.hpp"

// Depthwise 3x3 convolutions of two rows at a time, and what follows each: two output rows need four rows of
// input, where one by one they would read six.
namespace refusion::REFUSION_ISA {

// Calls done(pixel, first, second) with one vector of channels of both output rows. `weights` are (9, stride
// of taps), `rows` begin one pixel to the left.
template <class Done>
REFUSION_INLINE void depthwise_columns(const FourRows& rows, std::ptrdiff_t channel,
                                       std::ptrdiff_t pixel_stride, const float* weights,
                                       std::ptrdiff_t tap_stride, std::ptrdiff_t pixels, Done done) {
    Vector w[3][3];
    REFUSION_UNROLL
    for (int tap = 0; tap < 9; ++tap) {
        w[tap / 3][tap % 3] = load(weights + tap * tap_stride + channel);
    }
    const float* row[4] = {rows[0] + channel, rows[1] + channel, rows[2] + channel, rows[3] + channel};
    // Each column of input adds to three columns of output; sums[0] is finished by it, sums[2] begun.
    Vector sums[2][2] = {};
    for (std::ptrdiff_t x = 0; x < pixels + 2; ++x) {
        Vector in[4];
        REFUSION_UNROLL
        for (int r = 0; r < 4; ++r) {
            in[r] = load(row[r] + x * pixel_stride);
        }
        Vector next[2][3];
        REFUSION_UNROLL
        for (int out = 0; out < 2; ++out) {
            next[out][0] = sums[out][0] + in[out] * w[0][2] + in[out + 1] * w[1][2] + in[out + 2] * w[2][2];
            next[out][1] = sums[out][1] + in[out] * w[0][1] + in[out + 1] * w[1][1] + in[out + 2] * w[2][1];
            next[out][2] = in[out] * w[0][0] + in[out + 1] * w[1][0] + in[out + 2] * w[2][0];
            sums[out][0] = next[out][1];
            sums[out][1] = next[out][2];
        }
        if (x >= 2) {
            done(x - 2, next[0][0], next[1][0]);
        }
    }
}

// Both output rows, all channels.
inline void depthwise(const FourRows& rows, std::ptrdiff_t channels, const float* weights, float* first,
                      float* second, std::ptrdiff_t pixels) {
    for (std::ptrdiff_t channel = 0; channel < channels; channel += kLanes) {
        depthwise_columns(rows, channel, channels, weights, channels, pixels,
                          [=](std::ptrdiff_t x, Vector a, Vector b) {
                              store(first + x * channels + channel, a);
                              store(second + x * channels + channel, b);
                          });
    }
}

// gelu of the first half of the channels times the second half; `channels` are those of the result.
inline void depthwise_gate(const FourRows& rows, std::ptrdiff_t channels, const float* weights, float* first,
                           float* second, std::ptrdiff_t pixels) {
    const std::ptrdiff_t stride = 2 * channels;
    for (std::ptrdiff_t channel = 0; channel < channels; channel += kLanes) {
        float* a = first + channel;
        float* b = second + channel;
        depthwise_columns(rows, channel, stride, weights, stride, pixels,
                          [=](std::ptrdiff_t x, Vector gate_a, Vector gate_b) {
                              store(a + x * channels, gelu(gate_a));
                              store(b + x * channels, gelu(gate_b));
                          });
        depthwise_columns(rows, channels + channel, stride, weights, stride, pixels,
                          [=](std::ptrdiff_t x, Vector value_a, Vector value_b) {
                              store(a + x * channels, load(a + x * channels) * value_a);
                              store(b + x * channels, load(b + x * channels) * value_b);
                          });
    }
}

// The lanes of each head rotated: lane i gets lane i ^ by.
REFUSION_INLINE Vector exchanged(Vector value, int by) {
    IntVector lanes;
    REFUSION_UNROLL
    for (int i = 0; i < kLanes; ++i) {
        lanes[i] = i ^ by;
    }
    return shuffle(value, value, lanes);
}

REFUSION_INLINE void add_lanes(double* sums, Vector value) {
    for (int i = 0; i < kLanes; ++i) {
        sums[i] += static_cast<double>(value[i]);
    }
}

// Queries are the first half of the channels, keys the second; `channels` are those of one half. Adds to
// sums, (2 + kHead, channels): squares of the queries, squares of the keys, then for each i < kHead the
// products of query c with key c ^ i, which is of the same head. `scratch` takes both rows of queries of one
// vector.
template <int kHead>
void depthwise_gram(const FourRows& rows, std::ptrdiff_t channels, const float* weights, float* scratch,
                    std::ptrdiff_t pixels, bool second_counts, double* sums) {
    const std::ptrdiff_t stride = 2 * channels;
    for (std::ptrdiff_t channel = 0; channel < channels; channel += kLanes) {
        depthwise_columns(rows, channel, stride, weights, stride, pixels,
                          [=](std::ptrdiff_t x, Vector first, Vector second) {
                              store(scratch + 2 * x * kLanes, first);
                              store(scratch + (2 * x + 1) * kLanes, second);
                          });
        // In float only over this stretch of two rows.
        Vector queries{}, keys{}, products[kHead] = {};
        const auto add = [&](Vector query, Vector key) {
            queries += query * query;
            keys += key * key;
            products[0] += query * key;
            REFUSION_UNROLL
            for (int i = 1; i < kHead; ++i) {
                products[i] += query * exchanged(key, i);
            }
        };
        depthwise_columns(rows, channels + channel, stride, weights, stride, pixels,
                          [&](std::ptrdiff_t x, Vector first, Vector second) {
                              add(load(scratch + 2 * x * kLanes), first);
                              if (second_counts) {
                                  add(load(scratch + (2 * x + 1) * kLanes), second);
                              }
                          });
        add_lanes(sums + channel, queries);
        add_lanes(sums + channels + channel, keys);
        for (int i = 0; i < kHead; ++i) {
            add_lanes(sums + (2 + i) * channels + channel, products[i]);
        }
    }
}

}  // namespace refusion::REFUSION_ISA
