#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "kernels.hpp"
#include "weights.hpp"

namespace refusion::lite {

// Pixels a side that one output value of the stem, and of the middle convolution, stands for.
inline constexpr std::ptrdiff_t kStemPx = 4, kMiddlePx = 8;

// One pair of sources.
struct Planes {
    const float* data;
    std::ptrdiff_t height, width;

    // Row y of a source; beyond the picture, its first or last one.
    const float* row(std::ptrdiff_t source, std::ptrdiff_t y) const {
        return data + (source * height + std::clamp<std::ptrdiff_t>(y, 0, height - 1)) * width;
    }
};

// The last rows of a map that is made from top to bottom. Before each lies a pixel of zeros, and above the
// first one a row of them, which are the convolutions' padding.
class RecentRows {
  public:
    RecentRows(std::ptrdiff_t pixels, std::ptrdiff_t channels)
        : row_((pixels + 1) * channels),
          channels_(channels),
          values_(static_cast<std::size_t>((kRows + 1) * row_)) {}

    float* row(std::ptrdiff_t y) { return padded(y) + channels_; }
    float* padded(std::ptrdiff_t y) { return values_.data() + (y < 0 ? kRows : y % kRows) * row_; }

  private:
    static constexpr std::ptrdiff_t kRows = 3;

    std::ptrdiff_t row_;
    std::ptrdiff_t channels_;
    std::vector<float> values_;
};

// A map of cells, with a cell of zeros all around.
class CellMap {
  public:
    CellMap(std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t channels)
        : row_((columns + 2) * channels),
          channels_(channels),
          values_(static_cast<std::size_t>((rows + 2) * row_)) {}

    float* row(std::ptrdiff_t y) { return padded(y) + channels_; }
    float* padded(std::ptrdiff_t y) { return values_.data() + (y + 1) * row_; }

  private:
    std::ptrdiff_t row_;
    std::ptrdiff_t channels_;
    std::vector<float> values_;
};

// What one thread works with: rows, never whole maps.
struct Slot {
    Slot(const Weights& weights, std::ptrdiff_t columns, std::ptrdiff_t width)
        : whole_cells(static_cast<std::size_t>(2 * kStemPx * columns * kCell)),
          stem(columns * kCell / kStemPx, weights.stem.channels),
          middle(columns * kCell / kMiddlePx, weights.middle.channels),
          lines(static_cast<std::size_t>(2 * 3 * (width + 2 * kLinePadding))),
          base(static_cast<std::size_t>((columns + 1) * weights.output.channels)),
          slope(base.size()),
          features(static_cast<std::size_t>(weights.feature_count * kFeatureRun)) {}

    std::vector<float> whole_cells;
    RecentRows stem, middle;
    std::vector<float> lines;
    std::vector<float> base, slope;
    std::vector<float> features;
};

// What one call keeps between its passes.
struct Workspace {
    Workspace(const Weights& weights, std::ptrdiff_t height, std::ptrdiff_t width, int slots)
        : height(height),
          width(width),
          rows((height + kCell - 1) / kCell),
          columns((width + kCell - 1) / kCell),
          maps{CellMap(rows, columns, weights.bottom.channels),
               CellMap(rows, columns, weights.bottom.channels)},
          stem_sums(static_cast<std::size_t>(rows * kCell / kStemPx * weights.stem.channels)),
          bottom_sums(static_cast<std::size_t>(rows * weights.bottom.channels)),
          first_bias(weights.blocks.front().bias),
          output_weights(weights.output.weights),
          grid(static_cast<std::size_t>(rows * columns * weights.output.channels)) {
        for (int i = 0; i < slots; ++i) {
            this->slots.emplace_back(weights, columns, width);
        }
    }

    bool fits(std::ptrdiff_t other_height, std::ptrdiff_t other_width, int other_slots) const {
        return height == other_height && width == other_width &&
               slots.size() == static_cast<std::size_t>(other_slots);
    }

    std::ptrdiff_t height, width;  // pixels
    std::ptrdiff_t rows, columns;  // cells
    std::array<CellMap, 2> maps;
    std::vector<float> stem_sums, bottom_sums;  // [row][channel]
    std::vector<float> first_bias;              // of the first block, shifted for this picture
    std::vector<float> output_weights;          // with the gain of this picture's last map
    std::vector<float> grid;                    // [row][column][coefficient]
    std::vector<Slot> slots;                    // one for each thread
};

}  // namespace refusion::lite
