#include <algorithm>
#include <cmath>

#include "passes.hpp"
#include "projection.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {
namespace {

// As in refusion.models.blocks.
constexpr double kMinSquaredLength = 1e-12;

// Sums over pairs of rows: added up in the order of the rows, they do not depend on who computed them.
class RowPairSums {
  public:
    RowPairSums(const Attention& attention, std::ptrdiff_t height)
        : size_((2 + attention.head_channels) * attention.channels),
          sums_(static_cast<std::size_t>((height + 1) / 2 * size_), 0.0) {}

    double* of_pair(std::ptrdiff_t y) { return sums_.data() + y / 2 * size_; }

    std::vector<double> total() const {
        std::vector<double> total(static_cast<std::size_t>(size_), 0.0);
        for (std::size_t i = 0; i < sums_.size(); ++i) {
            total[i % total.size()] += sums_[i];
        }
        return total;
    }

  private:
    std::ptrdiff_t size_;
    std::vector<double> sums_;
};

void sum_strip(const Pass& pass, const Block& block, Span band, Span strip, ScratchPool::Lease& lease,
               RowPairSums& sums) {
    constexpr std::ptrdiff_t halo = 1;
    const Projected& projected = block.attention.queries_and_keys;
    const std::ptrdiff_t height = pass.map.height(), width = pass.map.width();
    const std::ptrdiff_t pixels = strip.size() + 2 * halo;
    const Span columns{std::max<std::ptrdiff_t>(strip.begin - halo, 0), std::min(strip.end + halo, width)};
    const Margins margins(strip, width, halo, projected.channels);
    const RowRing ring(lease, projected.channels);
    float* const row = lease.take(kRowPixels * block.channels);
    float* const normalised = lease.take(kRowPixels * block.channels);
    float* const queries = lease.take(2 * kRowPixels * kFeatures);

    const auto project = [&](std::ptrdiff_t y) {
        if (y < 0 || y >= height) {
            std::fill_n(ring.row(y), pixels * projected.channels, 0.0f);
            return;
        }
        const std::ptrdiff_t first = columns.begin * kPixelFloats + block.channel;
        block.gather(pass.map.row(y) + first, y + 1 < height ? pass.map.row(y + 1) + first : nullptr,
                     row + (columns.begin - (strip.begin - halo)) * block.channels, columns.size());
        project_row(projected, row, normalised, ring.row(y), pixels);
        margins.clear(ring.row(y));
    };
    project(band.begin - 1);
    project(band.begin);
    for (std::ptrdiff_t y = band.begin; y < band.end; y += 2) {
        project(y + 1);
        project(y + 2);
        block.attention.gram(ring.around_pair(y), block.attention.channels, projected.depthwise.data(),
                             queries, strip.size(), y + 1 < height, sums.of_pair(y));
    }
}

// softmax(temperature * cos(q, k)) of each head, multiplied from the left by the convolution that follows it.
std::vector<std::vector<float>> mixes_of(const Block& block, const std::vector<double>& sums) {
    const Attention& attention = block.attention;
    const auto channels = static_cast<std::size_t>(attention.channels);
    const auto head_channels = static_cast<std::size_t>(attention.head_channels);
    const auto inverse_length = [&](std::size_t which, std::size_t channel) {
        return 1.0 / std::sqrt(std::max(sums[which * channels + channel], kMinSquaredLength));
    };
    std::vector<std::vector<double>> rows(channels, std::vector<double>(head_channels));
    for (std::size_t q = 0; q < channels; ++q) {
        std::vector<double>& weights = rows[q];
        const std::size_t first = q / head_channels * head_channels;
        const double factor = attention.temperature[q / head_channels] * inverse_length(0, q);
        for (std::size_t i = 0; i < head_channels; ++i) {
            const std::size_t k = first + i;
            weights[i] = factor * inverse_length(1, k) * sums[(2 + (q ^ k)) * channels + q];
        }
        const double largest = *std::max_element(weights.begin(), weights.end());
        double total = 0.0;
        for (double& weight : weights) {
            total += weight = std::exp(weight - largest);
        }
        for (double& weight : weights) {
            weight /= total;
        }
    }
    std::vector<std::vector<float>> packed;
    for (std::size_t group = 0; group < attention.mixes.size(); ++group) {
        const std::size_t size = channels / attention.mixes.size(), offset = group * size;
        std::vector<float> mix(size * size);
        for (std::size_t o = 0; o < size; ++o) {
            for (std::size_t k = 0; k < size; ++k) {
                const std::size_t first = k / head_channels * head_channels;
                double sum = 0.0;
                for (std::size_t q = first; q < first + head_channels; ++q) {
                    sum += attention.mixes[group][o * size + q] * rows[offset + q][k - first];
                }
                mix[o * size + k] = static_cast<float>(sum);
            }
        }
        packed.emplace_back(mix.size());
        block.mix[group].kernel->pack(mix.data(), static_cast<std::ptrdiff_t>(size), packed.back().data());
    }
    return packed;
}

}  // namespace

std::vector<std::vector<std::vector<float>>> gram_pass(const Pass& pass, const std::vector<Block>& blocks) {
    std::vector<RowPairSums> sums;
    for (const Block& block : blocks) {
        sums.emplace_back(block.attention, pass.map.height());
    }
    pass.for_each_band([&](std::ptrdiff_t, Span band) {
        for (std::ptrdiff_t index = 0; index < pass.tiling.strips(); ++index) {
            for (std::size_t i = 0; i < blocks.size(); ++i) {
                ScratchPool::Lease lease = pass.scratch.lease();
                sum_strip(pass, blocks[i], band, pass.tiling.strip(index), lease, sums[i]);
            }
        }
    });
    std::vector<std::vector<std::vector<float>>> mixes;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        mixes.push_back(mixes_of(blocks[i], sums[i].total()));
    }
    return mixes;
}

}  // namespace refusion
