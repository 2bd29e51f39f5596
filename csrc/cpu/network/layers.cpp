#include "layers.hpp"

#include <algorithm>
#include <stdexcept>

#include "../state_dict.hpp"

namespace refusion {
namespace {

using Shape = std::vector<std::ptrdiff_t>;

// Some of a convolution's weights, (out, in).
struct Matrix {
    std::vector<float> values;
    std::ptrdiff_t in;

    std::ptrdiff_t out() const { return static_cast<std::ptrdiff_t>(values.size()) / in; }

    Matrix rows(std::ptrdiff_t begin, std::ptrdiff_t end) const {
        return {{values.begin() + begin * in, values.begin() + end * in}, in};
    }
};

void append(std::vector<float>& to, const std::vector<float>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

struct Norm {
    std::vector<float> scale, shift;
};

class Builder {
  public:
    Builder(const Tensors& tensors, const NetworkKernels& kernels) : tensors_(tensors), kernels_(kernels) {}

    Matrix pointwise(const std::string& name, std::ptrdiff_t in, std::ptrdiff_t out) {
        return {tensors_.read(name + ".weight", {out, in, 1, 1}), in};
    }

    Matrix depthwise(const std::string& name, std::ptrdiff_t channels) {
        return {tensors_.read(name + ".weight", {channels, 1, 3, 3}), 9};
    }

    // The weights of a 3x3 convolution from or to one channel, (channels, 9), as (9, channels).
    std::vector<float> taps_first(const std::string& name, const Shape& shape) {
        return taps_first(tensors_.read(name + ".weight", shape));
    }

    static std::vector<float> taps_first(const std::vector<float>& weights) {
        const std::size_t channels = weights.size() / 9;
        std::vector<float> result(weights.size());
        for (std::size_t c = 0; c < channels; ++c) {
            for (std::size_t tap = 0; tap < 9; ++tap) {
                result[tap * channels + c] = weights[c * 9 + tap];
            }
        }
        return result;
    }

    Norm norm(const std::string& name, std::ptrdiff_t channels) {
        return {tensors_.read(name + ".weight", {channels}), tensors_.read(name + ".bias", {channels})};
    }

    Part part(Matrix matrix, std::ptrdiff_t in_stride, std::ptrdiff_t in_offset, std::ptrdiff_t out_offset,
              const Norm* norm = nullptr) {
        Part part = unpacked(matrix.in, in_stride, matrix.out(), false);
        part.in_offset = in_offset;
        part.out_offset = out_offset;
        part.bias.assign(static_cast<std::size_t>(matrix.out()), 0.0f);
        if (norm != nullptr) {
            fold(*norm, matrix, part.bias);
        }
        part.kernel->pack(matrix.values.data(), matrix.in, part.weights.data());
        return part;
    }

    Part residual_part(std::ptrdiff_t in, std::ptrdiff_t in_stride, std::ptrdiff_t out,
                       std::ptrdiff_t offset = 0) {
        Part part = unpacked(in, in_stride, out, true);
        part.in_offset = part.out_offset = offset;
        return part;
    }

    void pack(const Matrix& matrix, Part& part) const {
        part.kernel->pack(matrix.values.data(), matrix.in, part.weights.data());
    }

    Block transformer(const std::string& name, std::ptrdiff_t channels, std::ptrdiff_t first_channel);
    Block cross_attention(const std::string& name);
    std::vector<float> head(const std::string& name);
    void require_all_taken() const { tensors_.require_all_taken(); }

  private:
    static constexpr std::ptrdiff_t kHeads = 8;

    Part unpacked(std::ptrdiff_t in, std::ptrdiff_t in_stride, std::ptrdiff_t out, bool residual) const {
        const auto found = std::find_if(kernels_.pointwise.begin(), kernels_.pointwise.end(),
                                        [&](const PointwiseKernel& kernel) {
                                            return kernel.in == in && kernel.in_stride == in_stride &&
                                                   kernel.out == out && kernel.residual == residual;
                                        });
        if (found == kernels_.pointwise.end()) {
            throw std::logic_error("no kernel for a convolution of " + std::to_string(in) + " to " +
                                   std::to_string(out) + " channels");
        }
        Part part;
        part.kernel = &*found;
        part.weights.resize(static_cast<std::size_t>(in * out));
        return part;
    }

    // W (scale x + shift) = (W scale) x + W shift.
    static void fold(const Norm& norm, Matrix& matrix, std::vector<float>& bias) {
        for (std::size_t o = 0; o < bias.size(); ++o) {
            double sum = 0.0;
            for (std::size_t i = 0; i < norm.scale.size(); ++i) {
                float& weight = matrix.values[o * norm.scale.size() + i];
                sum += static_cast<double>(weight) * norm.shift[i];
                weight *= norm.scale[i];
            }
            bias[o] = static_cast<float>(sum);
        }
    }

    void (*normalise(std::ptrdiff_t channels) const)(const float*, float*, std::ptrdiff_t) {
        return channels == kFeatures ? kernels_.normalise16 : kernels_.normalise32;
    }

    StateDict tensors_;
    const NetworkKernels& kernels_;
};

Block Builder::transformer(const std::string& name, std::ptrdiff_t channels, std::ptrdiff_t first_channel) {
    const Norm attention_norm = norm(name + ".attention_norm", channels);
    const Matrix qkv = pointwise(name + ".attention.qkv.0", channels, 3 * channels);
    const Matrix qkv_taps = depthwise(name + ".attention.qkv.1", 3 * channels);
    Block block;
    block.channel = first_channel;
    block.channels = channels;
    block.gather = channels == kFeatures ? kernels_.gather16 : kernels_.gather32;

    Attention& attention = block.attention;
    attention.channels = channels;
    attention.head_channels = channels / kHeads;
    attention.gram = attention.head_channels == 2 ? kernels_.gram_of_2 : kernels_.gram_of_4;
    attention.temperature = tensors_.read(name + ".attention.temperature", {kHeads, 1, 1});
    attention.mixes = {pointwise(name + ".attention.out", channels, channels).values};
    attention.queries_and_keys = {normalise(channels),
                                  {part(qkv.rows(0, 2 * channels), channels, 0, 0, &attention_norm)},
                                  2 * channels,
                                  taps_first(qkv_taps.rows(0, 2 * channels).values)};
    block.values = {normalise(channels),
                    {part(qkv.rows(2 * channels, 3 * channels), channels, 0, 0, &attention_norm)},
                    channels,
                    taps_first(qkv_taps.rows(2 * channels, 3 * channels).values)};
    block.mix = {residual_part(channels, channels, channels)};

    const Norm gate_norm = norm(name + ".feed_forward_norm", channels);
    block.gate = {
        normalise(channels),
        {part(pointwise(name + ".feed_forward.gate.0", channels, 4 * channels), channels, 0, 0, &gate_norm)},
        4 * channels,
        taps_first(depthwise(name + ".feed_forward.gate.1", 4 * channels).values)};
    block.out = residual_part(2 * channels, 2 * channels, channels);
    pack(pointwise(name + ".feed_forward.out", 2 * channels, channels), block.out);
    return block;
}

// Of each source its own queries, keys, values; the keys and values of one meet the queries of the other.
// Then the gates, from both sources, followed by what they gate, of each source.
Block Builder::cross_attention(const std::string& name) {
    constexpr std::ptrdiff_t c = kFeatures, joint = 2 * c, gated = 4 * c;
    const Matrix qkv[2] = {pointwise(name + ".qkv_a.0", c, 3 * c), pointwise(name + ".qkv_b.0", c, 3 * c)};
    const Matrix taps[2] = {depthwise(name + ".qkv_a.1", 3 * c), depthwise(name + ".qkv_b.1", 3 * c)};
    Block block;
    block.channels = joint;
    block.gather = kernels_.gather32;

    Attention& attention = block.attention;
    attention.channels = joint;
    attention.head_channels = c / kHeads;
    attention.gram = kernels_.gram_of_2;
    Projected& pairs = attention.queries_and_keys;
    pairs.channels = 2 * joint;
    std::vector<float> pair_taps;
    const struct {
        std::ptrdiff_t source, row;
    } order[] = {{1, 0}, {0, 0}, {0, c}, {1, c}};  // queries of b, of a; keys of a, of b
    for (std::ptrdiff_t i = 0; i < 4; ++i) {
        const auto [source, row] = order[i];
        pairs.parts.push_back(part(qkv[source].rows(row, row + c), joint, source * c, i * c));
        append(pair_taps, taps[source].rows(row, row + c).values);
    }
    pairs.depthwise = taps_first(pair_taps);

    block.values.channels = joint;
    std::vector<float> value_taps;
    block.gate.channels = 4 * gated;
    block.gate.parts.push_back(part(pointwise(name + ".gate.0", joint, 2 * gated), joint, 0, 0));
    std::vector<float> gate_taps = depthwise(name + ".gate.1", 2 * gated).values;
    Matrix out{std::vector<float>(static_cast<std::size_t>(joint * 2 * gated)), 2 * gated};
    for (std::ptrdiff_t source = 0; source < 2; ++source) {
        const std::string which = source == 0 ? "_a" : "_b";
        append(attention.temperature, tensors_.read(name + ".temperature" + which, {kHeads, 1, 1}));
        attention.mixes.push_back(pointwise(name + ".mix" + which, c, c).values);
        block.values.parts.push_back(part(qkv[source].rows(2 * c, 3 * c), joint, source * c, source * c));
        append(value_taps, taps[source].rows(2 * c, 3 * c).values);
        block.mix.push_back(residual_part(c, joint, c, source * c));
        block.gate.parts.push_back(part(pointwise(name + ".value" + which + ".0", c, gated), joint,
                                        source * c, (2 + source) * gated));
        append(gate_taps, depthwise(name + ".value" + which + ".1", gated).values);
        const Matrix from_source = pointwise(name + ".out" + which, gated, joint);
        for (std::ptrdiff_t o = 0; o < joint; ++o) {
            std::copy_n(from_source.values.begin() + o * gated, gated,
                        out.values.begin() + o * 2 * gated + source * gated);
        }
    }
    block.values.depthwise = taps_first(value_taps);
    block.gate.depthwise = taps_first(gate_taps);
    block.out = residual_part(2 * gated, 2 * gated, joint);
    pack(out, block.out);
    return block;
}

std::vector<float> Builder::head(const std::string& name) {
    constexpr std::ptrdiff_t in = kPixelFloats, out = kFeatures;
    const std::vector<float> weights = tensors_.read(name + ".weight", {out, in, 3, 3});
    std::vector<float> taps_in_order(weights.size());  // (out, 9, in)
    for (std::ptrdiff_t o = 0; o < out; ++o) {
        for (std::ptrdiff_t i = 0; i < in; ++i) {
            for (std::ptrdiff_t tap = 0; tap < 9; ++tap) {
                taps_in_order[static_cast<std::size_t>((o * 9 + tap) * in + i)] =
                    weights[static_cast<std::size_t>((o * in + i) * 9 + tap)];
            }
        }
    }
    std::vector<float> packed(weights.size());
    kernels_.pack_head(taps_in_order.data(), 9 * in, packed.data());
    return packed;
}

}  // namespace

Layers::Layers(const Tensors& tensors, const NetworkKernels& kernels) {
    Builder builder(tensors, kernels);
    input_a = builder.taps_first("input_a", {kFeatures, 1, 3, 3});
    input_b = builder.taps_first("input_b", {kFeatures, 1, 3, 3});
    for (const char* index : {".0", ".1"}) {
        stages.push_back({builder.transformer(std::string("encoder_a") + index, kFeatures, 0),
                          builder.transformer(std::string("encoder_b") + index, kFeatures, kFeatures)});
    }
    stages.push_back({builder.cross_attention("cross")});
    for (const char* index : {".0", ".1"}) {
        stages.push_back({builder.transformer(std::string("decoder") + index, kPixelFloats, 0)});
    }
    head = builder.head("head");
    output = builder.taps_first("output", {1, kFeatures, 3, 3});
    builder.require_all_taken();
}

}  // namespace refusion
