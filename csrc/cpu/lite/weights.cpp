#include "weights.hpp"

#include <string>

#include "../state_dict.hpp"
#include "kernels.hpp"

namespace refusion::lite {
namespace {

constexpr std::ptrdiff_t kSources = 2;
constexpr std::ptrdiff_t kChannelMultiple = 16;
// 1 and both sources have coefficients, too.
constexpr std::ptrdiff_t kPlainFeatures = 1 + kSources;

std::ptrdiff_t rounded_up(std::ptrdiff_t value, std::ptrdiff_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// The order of a convolution's places: by source first, as planes lie in memory, or by channel last, as maps
// do.
enum class Order { kPlanes, kMap };

struct Input {
    std::ptrdiff_t channels;
    std::ptrdiff_t padded;  // as they lie in memory
};

Input map_of(const Convolution& convolution) { return {convolution.used, convolution.channels}; }

Convolution convolution(StateDict& state, const std::string& name, std::ptrdiff_t channels, Input input,
                        std::ptrdiff_t side, Order order) {
    const Tensor& weight = state.take(name + ".weight", {channels, input.channels, side, side});
    const std::ptrdiff_t area = side * side;
    Convolution result;
    result.used = weight.shape[0];
    result.channels = rounded_up(result.used, kChannelMultiple);
    const Tensor& bias = state.take(name + ".bias", {result.used});
    result.bias.assign(bias.data, bias.data + result.used);
    result.bias.resize(static_cast<std::size_t>(result.channels));
    result.weights.resize(static_cast<std::size_t>(area * input.padded * result.channels));
    for (std::ptrdiff_t c = 0; c < result.used; ++c) {
        for (std::ptrdiff_t i = 0; i < input.channels; ++i) {
            for (std::ptrdiff_t tap = 0; tap < area; ++tap) {
                const std::ptrdiff_t place =
                    order == Order::kPlanes ? i * area + tap : tap * input.padded + i;
                result.weights[static_cast<std::size_t>(place * result.channels + c)] =
                    weight.data[(c * input.channels + i) * area + tap];
            }
        }
    }
    return result;
}

// Returns the number of features.
std::ptrdiff_t take_features(StateDict& state, Weights& weights) {
    constexpr std::ptrdiff_t area = 9;
    const Tensor& weight = state.take("features.weight", {kAnyLength, kSources, 3, 3});
    const std::ptrdiff_t count = weight.shape[0];
    const Tensor& bias = state.take("features.bias", {count});
    weights.feature_count = rounded_up(count, kFeatureGroup);
    weights.feature_bias.assign(bias.data, bias.data + count);
    weights.feature_bias.resize(static_cast<std::size_t>(weights.feature_count));
    weights.features.resize(static_cast<std::size_t>(weights.feature_count * kSources * area));
    for (std::ptrdiff_t f = 0; f < count; ++f) {
        const std::ptrdiff_t group = f / kFeatureGroup, place = f % kFeatureGroup;
        for (std::ptrdiff_t tap = 0; tap < kSources * area; ++tap) {
            weights
                .features[static_cast<std::size_t>((group * kSources * area + tap) * kFeatureGroup + place)] =
                weight.data[f * kSources * area + tap];
        }
    }
    return count;
}

Context context(StateDict& state, std::ptrdiff_t means, std::ptrdiff_t effects) {
    Context result;
    result.hidden_bias = state.read("grid.context.0.bias", {kAnyLength});
    const auto units = static_cast<std::ptrdiff_t>(result.hidden_bias.size());
    result.hidden_weights = state.read("grid.context.0.weight", {units, means});
    result.effect_weights = state.read("grid.context.2.weight", {effects, units});
    result.effect_bias = state.read("grid.context.2.bias", {effects});
    return result;
}

}  // namespace

Weights packed(const Tensors& tensors) {
    StateDict state(tensors);
    Weights weights;
    const std::ptrdiff_t features = take_features(state, weights);
    weights.stem = convolution(state, "grid.stem", kAnyLength, {kSources, kSources}, 4, Order::kPlanes);
    weights.middle = convolution(state, "grid.middle", kAnyLength, map_of(weights.stem), 3, Order::kMap);
    weights.bottom = convolution(state, "grid.bottom", kAnyLength, map_of(weights.middle), 3, Order::kMap);
    const Input grid = map_of(weights.bottom);
    for (int i = 0; i == 0 || state.has("grid.blocks." + std::to_string(i) + ".weight"); ++i) {
        const std::string name = "grid.blocks." + std::to_string(i);
        weights.blocks.push_back(convolution(state, name, grid.channels, grid, 3, Order::kMap));
    }
    weights.context = context(state, weights.stem.used + grid.channels, 2 * grid.channels);
    weights.output = convolution(state, "grid.output", kPlainFeatures + features, grid, 1, Order::kMap);
    state.require_all_taken();
    return weights;
}

}  // namespace refusion::lite
