#include "passes.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace refusion::lite {
namespace {

// MIN_MEAN of refusion/models/lite.py.
constexpr double kMinMean = 1e-3;

using ThreeRows = const float* const[3];

ConvolvedRow row_of(const Convolution& convolution, std::ptrdiff_t pixels, float* out) {
    ConvolvedRow row{};
    row.weights = convolution.weights.data();
    row.bias = convolution.bias.data();
    row.channels = convolution.channels;
    row.pixels = pixels;
    row.out = out;
    return row;
}

// A 3x3 convolution and ReLU; the rows begin with their padding.
ConvolvedRow row_of_3x3(const Convolution& convolution, ThreeRows& rows, std::ptrdiff_t in_channels,
                        std::ptrdiff_t stride, std::ptrdiff_t pixels, float* out) {
    ConvolvedRow row = row_of(convolution, pixels, out);
    row.segments = rows;
    row.segment_count = 3;
    row.length = 3 * in_channels;
    row.step = stride * in_channels;
    row.relu = true;
    return row;
}

// The 3x3 convolution of stride 2 that makes row y.
void halve(const Kernels& kernels, const Convolution& convolution, RecentRows& input,
           std::ptrdiff_t in_channels, std::ptrdiff_t y, std::ptrdiff_t pixels, float* out) {
    ThreeRows rows = {input.padded(2 * y - 1), input.padded(2 * y), input.padded(2 * y + 1)};
    kernels.convolve(row_of_3x3(convolution, rows, in_channels, 2, pixels, out));
}

void make_stem(const Network& network, const Planes& planes, Slot& slot, std::ptrdiff_t y,
               std::ptrdiff_t width) {
    const float* segments[2 * kStemPx];
    for (std::ptrdiff_t i = 0; i < 2 * kStemPx; ++i) {
        const float* line = planes.row(i / kStemPx, y * kStemPx + i % kStemPx);
        if (planes.width < width) {
            // The last pixel is repeated up to whole cells.
            float* copy = slot.whole_cells.data() + i * width;
            std::copy_n(line, planes.width, copy);
            std::fill(copy + planes.width, copy + width, line[planes.width - 1]);
            line = copy;
        }
        segments[i] = line;
    }
    ConvolvedRow row = row_of(network.weights.stem, width / kStemPx, slot.stem.row(y));
    row.segments = segments;
    row.segment_count = 2 * kStemPx;
    row.length = row.step = kStemPx;
    row.relu = true;
    network.kernels.convolve(row);
}

// Appends the logarithm of each channel's mean. Rows are added in their order, whoever made them.
void append_means(const std::vector<float>& sums, std::ptrdiff_t rows, std::ptrdiff_t pixels,
                  const Convolution& map, std::vector<double>& means) {
    for (std::ptrdiff_t c = 0; c < map.used; ++c) {
        double sum = 0;
        for (std::ptrdiff_t y = 0; y < rows; ++y) {
            sum += sums[static_cast<std::size_t>(y * map.channels + c)];
        }
        means.push_back(std::log(sum / static_cast<double>(rows * pixels) + kMinMean));
    }
}

std::vector<double> linear(const std::vector<float>& weights, const std::vector<float>& bias,
                           const std::vector<double>& input) {
    std::vector<double> output(bias.begin(), bias.end());
    for (std::size_t i = 0; i < output.size(); ++i) {
        for (std::size_t j = 0; j < input.size(); ++j) {
            output[i] += weights[i * input.size() + j] * input[j];
        }
    }
    return output;
}

// Coefficients in the middle of cells are those of the grid; PyTorch's "bilinear", align_corners off.
CoefficientRow coefficients_at(const Workspace& space, std::ptrdiff_t count, std::ptrdiff_t y, Slot& slot) {
    const float place = std::max(0.0f, (static_cast<float>(y) + 0.5f) / kCell - 0.5f);
    const auto above = static_cast<std::ptrdiff_t>(place);
    const std::ptrdiff_t below = std::min(above + 1, space.rows - 1);
    CoefficientRow row{};
    row.above = space.grid.data() + above * space.columns * count;
    row.below = space.grid.data() + below * space.columns * count;
    row.share = place - static_cast<float>(above);
    row.cells = space.columns;
    row.coefficients = count;
    row.base = slot.base.data();
    row.slope = slot.slope.data();
    return row;
}

// Three rows of each source, padded with their outermost pixels.
class Lines {
  public:
    Lines(const Planes& planes, Slot& slot) : planes_(planes), values_(slot.lines.data()) {}

    void copy(std::ptrdiff_t y) {
        for (std::ptrdiff_t source = 0; source < 2; ++source) {
            const float* from = planes_.row(source, y);
            float* to = at(source, y);
            std::fill(to - kLinePadding, to, from[0]);
            std::copy_n(from, planes_.width, to);
            std::fill(to + planes_.width, to + planes_.width + kLinePadding, from[planes_.width - 1]);
        }
    }

    // Its first pixel.
    float* at(std::ptrdiff_t source, std::ptrdiff_t y) const {
        const std::ptrdiff_t line = planes_.width + 2 * kLinePadding;
        return values_ + (3 * source + (y + 3) % 3) * line + kLinePadding;
    }

  private:
    const Planes& planes_;
    float* values_;
};

}  // namespace

void make_cells(const Network& network, const Planes& planes, Workspace& space, Slot& slot,
                std::ptrdiff_t begin, std::ptrdiff_t end) {
    const Weights& weights = network.weights;
    const std::ptrdiff_t width = space.columns * kCell;
    // The first rows that are seen from here; above them lies the padding, or what other bands make.
    std::ptrdiff_t middle = std::max<std::ptrdiff_t>(0, 2 * begin - 1);
    std::ptrdiff_t stem = std::max<std::ptrdiff_t>(0, 2 * middle - 1);
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        for (; middle <= 2 * y + 1; ++middle) {
            for (; stem <= 2 * middle + 1; ++stem) {
                make_stem(network, planes, slot, stem, width);
                if (stem >= begin * kCell / kStemPx) {
                    const std::ptrdiff_t channels = weights.stem.channels;
                    network.kernels.sum({slot.stem.row(stem), width / kStemPx, channels,
                                         space.stem_sums.data() + stem * channels});
                }
            }
            halve(network.kernels, weights.middle, slot.stem, weights.stem.channels, middle,
                  width / kMiddlePx, slot.middle.row(middle));
        }
        const std::ptrdiff_t channels = weights.bottom.channels;
        float* const cells = space.maps[0].row(y);
        halve(network.kernels, weights.bottom, slot.middle, weights.middle.channels, y, space.columns, cells);
        network.kernels.sum({cells, space.columns, channels, space.bottom_sums.data() + y * channels});
    }
}

void adapt_to_picture(const Network& network, Workspace& space) {
    const Weights& weights = network.weights;
    std::vector<double> means;
    append_means(space.stem_sums, space.rows * kCell / kStemPx, space.columns * kCell / kStemPx, weights.stem,
                 means);
    append_means(space.bottom_sums, space.rows, space.columns, weights.bottom, means);
    std::vector<double> hidden = linear(weights.context.hidden_weights, weights.context.hidden_bias, means);
    for (double& unit : hidden) {
        unit = std::max(unit, 0.0);
    }
    const std::vector<double> effects =
        linear(weights.context.effect_weights, weights.context.effect_bias, hidden);
    const auto channels = static_cast<std::size_t>(weights.bottom.used);
    const auto count = static_cast<std::size_t>(weights.output.channels);
    for (std::size_t c = 0; c < channels; ++c) {
        space.first_bias[c] = static_cast<float>(weights.blocks.front().bias[c] + effects[c]);
        for (std::size_t k = 0; k < count; ++k) {
            space.output_weights[c * count + k] =
                static_cast<float>(weights.output.weights[c * count + k] * (1 + effects[channels + c]));
        }
    }
}

void make_block(const Network& network, std::size_t block, Workspace& space, std::ptrdiff_t row) {
    const Weights& weights = network.weights;
    const std::ptrdiff_t channels = weights.bottom.channels;
    CellMap& input = space.maps[block % 2];
    float* const out = space.maps[(block + 1) % 2].row(row);
    ThreeRows rows = {input.padded(row - 1), input.padded(row), input.padded(row + 1)};
    ConvolvedRow convolved = row_of_3x3(weights.blocks[block], rows, channels, 1, space.columns, out);
    convolved.residual = input.row(row);
    if (block == 0) {
        convolved.bias = space.first_bias.data();
    }
    network.kernels.convolve(convolved);
    if (block + 1 < weights.blocks.size()) {
        return;
    }
    const std::ptrdiff_t count = weights.output.channels;
    const float* const segments[] = {out};
    ConvolvedRow coefficients =
        row_of(weights.output, space.columns, space.grid.data() + row * space.columns * count);
    coefficients.weights = space.output_weights.data();
    coefficients.segments = segments;
    coefficients.segment_count = 1;
    coefficients.length = coefficients.step = channels;
    network.kernels.convolve(coefficients);
}

void make_pixels(const Network& network, const Planes& planes, const Workspace& space, Slot& slot,
                 std::ptrdiff_t begin, std::ptrdiff_t end, float* fused) {
    const Weights& weights = network.weights;
    Lines lines(planes, slot);
    lines.copy(begin - 1);
    lines.copy(begin);
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        lines.copy(y + 1);
        network.kernels.interpolate(coefficients_at(space, weights.output.channels, y, slot));
        GuidedRow row{};
        for (int source = 0; source < 2; ++source) {
            for (int dy = 0; dy < 3; ++dy) {
                row.lines[source][dy] = lines.at(source, y - 1 + dy);
            }
        }
        row.weights = weights.features.data();
        row.bias = weights.feature_bias.data();
        row.features = weights.feature_count;
        row.base = slot.base.data();
        row.slope = slot.slope.data();
        row.coefficients = weights.output.channels;
        row.scratch = slot.features.data();
        row.out = fused + y * planes.width;
        row.width = planes.width;
        network.kernels.guide(row);
    }
}

}  // namespace refusion::lite
