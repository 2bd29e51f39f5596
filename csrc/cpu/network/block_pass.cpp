#include <algorithm>
#include <cstring>

#include "passes.hpp"
#include "projection.hpp"

namespace refusion {
namespace {

// Rows above and below, and columns beside a tile, that its result depends on: one for each 3x3 convolution.
constexpr std::ptrdiff_t kReach = 2;

// The rows next to the limits of the bands, as they are before the pass. Without them a band would read rows
// that its neighbour's thread has already replaced.
class Limits {
  public:
    explicit Limits(const Pass& pass) : row_floats_(pass.map.width() * kPixelFloats) {
        const std::ptrdiff_t limits = pass.tiling.bands() - 1;
        rows_.resize(static_cast<std::size_t>(limits * 2 * kReach * row_floats_));
        for (std::ptrdiff_t i = 0; i < limits; ++i) {
            const std::ptrdiff_t limit = pass.tiling.band(i).end;
            for (std::ptrdiff_t r = 0; r < 2 * kReach; ++r) {
                const std::ptrdiff_t y = limit - kReach + r;
                if (y < pass.map.height()) {
                    std::copy_n(pass.map.row(y), row_floats_, rows_.data() + offset(i, r));
                }
            }
        }
    }

    // Row y near the limit below band `index`.
    const float* row(std::ptrdiff_t index, std::ptrdiff_t y, std::ptrdiff_t limit) const {
        return rows_.data() + offset(index, y - (limit - kReach));
    }

  private:
    std::ptrdiff_t offset(std::ptrdiff_t limit, std::ptrdiff_t row) const {
        return (limit * 2 * kReach + row) * row_floats_;
    }

    std::ptrdiff_t row_floats_;
    std::vector<float> rows_;
};

struct Band {
    const Pass& pass;
    const Limits& limits;
    std::ptrdiff_t index;
    Span rows;

    // A row of the map before the pass, except for what strips further left have replaced.
    const float* row(std::ptrdiff_t y) const {
        if (y < rows.begin) {
            return limits.row(index - 1, y, rows.begin);
        }
        return y < rows.end ? pass.map.row(y) : limits.row(index, y, rows.end);
    }
};

// A block on one band: strip after strip, each from the top down.
class BlockOnBand {
  public:
    BlockOnBand(const Band& band, const Block& block, const std::vector<std::vector<float>>& mixes)
        : band_(band),
          block_(block),
          mixes_(mixes),
          height_(band.pass.map.height()),
          width_(band.pass.map.width()),
          replaced_(static_cast<std::size_t>(band.rows.size() * kReach * block.channels)) {}

    void run(Span strip);

  private:
    // The rows of one strip, from what is read to what is written, as far as later rows need them.
    struct Rows {
        Rows(ScratchPool::Lease& lease, const Block& block)
            : in(lease, block.channels),
              values(lease, block.channels),
              mixed(lease, block.channels),
              gates(lease, block.gate.channels),
              normalised(lease.take(kRowPixels * block.channels)),
              attended{lease.take(kRowPixels * block.channels), lease.take(kRowPixels * block.channels)},
              gated{lease.take(kRowPixels * block.gate.channels / 2),
                    lease.take(kRowPixels * block.gate.channels / 2)} {}

        RowRing in, values, mixed, gates;
        float* normalised;
        float* attended[2];
        float* gated[2];
    };

    bool outside(std::ptrdiff_t y) const { return y < 0 || y >= height_; }
    void read(Span strip, std::ptrdiff_t y, float* to);
    void project_values(Span strip, std::ptrdiff_t y, const Rows& rows);
    void attend(Span strip, std::ptrdiff_t y, const Rows& rows) const;
    void project_gates(Span strip, std::ptrdiff_t y, const Rows& rows) const;
    void write(Span strip, std::ptrdiff_t y, const Rows& rows) const;

    const Band& band_;
    const Block& block_;
    const std::vector<std::vector<float>>& mixes_;
    std::ptrdiff_t height_, width_;
    // The last columns of the strip before, as they were before it replaced them.
    std::vector<float> replaced_;
};

void BlockOnBand::run(Span strip) {
    ScratchPool::Lease lease = band_.pass.scratch.lease();
    const Rows rows(lease, block_);
    std::ptrdiff_t next_value = band_.rows.begin - kReach;
    std::ptrdiff_t next_mixed = band_.rows.begin - 2;
    std::ptrdiff_t next_gate = band_.rows.begin - 1;
    // Two rows at a time. What lies further down than the band reaches is not computed, and where a pair has
    // it all the same, not used.
    for (std::ptrdiff_t y = band_.rows.begin; y < band_.rows.end; y += 2) {
        for (; next_gate <= y + 2; ++next_gate) {
            for (; next_mixed <= next_gate; next_mixed += 2) {
                for (; next_value <= std::min(next_mixed + 2, band_.rows.end + kReach - 1); ++next_value) {
                    project_values(strip, next_value, rows);
                }
                attend(strip, next_mixed, rows);
            }
            project_gates(strip, next_gate, rows);
        }
        write(strip, y, rows);
    }
}

void BlockOnBand::read(Span strip, std::ptrdiff_t y, float* to) {
    const std::ptrdiff_t channels = block_.channels;
    const std::size_t bytes = static_cast<std::size_t>(channels) * sizeof(float);
    const float* const row = band_.row(y) + block_.channel;
    const bool own = y >= band_.rows.begin && y < band_.rows.end;
    float* const replaced = own ? replaced_.data() + (y - band_.rows.begin) * kReach * channels : nullptr;
    std::ptrdiff_t x = std::max<std::ptrdiff_t>(strip.begin - kReach, 0);
    const std::ptrdiff_t end = std::min(strip.end + kReach, width_);
    to += (x - (strip.begin - kReach)) * channels;
    if (own && strip.begin > 0) {
        std::memcpy(to, replaced, kReach * bytes);
        to += kReach * channels;
        x += kReach;
    }
    const float* const next =
        y + 1 < band_.rows.end && y >= band_.rows.begin ? row + width_ * kPixelFloats : nullptr;
    block_.gather(row + x * kPixelFloats, next != nullptr ? next + x * kPixelFloats : nullptr, to, end - x);
    if (own && strip.end < width_) {
        for (std::ptrdiff_t i = 0; i < kReach; ++i) {
            std::memcpy(replaced + i * channels, row + (strip.end - kReach + i) * kPixelFloats, bytes);
        }
    }
}

void BlockOnBand::project_values(Span strip, std::ptrdiff_t y, const Rows& rows) {
    const std::ptrdiff_t pixels = strip.size() + 2 * kReach;
    float* const values = rows.values.row(y);
    if (outside(y)) {
        std::fill_n(values, pixels * block_.values.channels, 0.0f);
        return;
    }
    float* const in = rows.in.row(y);
    read(strip, y, in);
    project_row(block_.values, in, rows.normalised, values, pixels);
    Margins(strip, width_, kReach, block_.values.channels).clear(values);
}

void BlockOnBand::attend(Span strip, std::ptrdiff_t y, const Rows& rows) const {
    const std::ptrdiff_t channels = block_.channels, pixels = strip.size() + 2;
    band_.pass.kernels.depthwise(rows.values.around_pair(y), channels, block_.values.depthwise.data(),
                                 rows.attended[0], rows.attended[1], pixels);
    for (int i = 0; i < 2; ++i) {
        for (std::size_t group = 0; group < block_.mix.size(); ++group) {
            const Part& part = block_.mix[group];
            part.kernel->run(rows.attended[i] + part.in_offset, mixes_[group].data(),
                             rows.in.row(y + i) + channels + part.out_offset, channels,
                             rows.mixed.row(y + i) + part.out_offset, channels, pixels);
        }
    }
}

void BlockOnBand::project_gates(Span strip, std::ptrdiff_t y, const Rows& rows) const {
    const std::ptrdiff_t pixels = strip.size() + 2;
    float* const gates = rows.gates.row(y);
    if (outside(y)) {
        std::fill_n(gates, pixels * block_.gate.channels, 0.0f);
        return;
    }
    project_row(block_.gate, rows.mixed.row(y), rows.normalised, gates, pixels);
    Margins(strip, width_, 1, block_.gate.channels).clear(gates);
}

void BlockOnBand::write(Span strip, std::ptrdiff_t y, const Rows& rows) const {
    const std::ptrdiff_t gated = block_.gate.channels / 2;
    band_.pass.kernels.depthwise_gate(rows.gates.around_pair(y), gated, block_.gate.depthwise.data(),
                                      rows.gated[0], rows.gated[1], strip.size());
    for (int i = 0; i < 2 && y + i < height_; ++i) {
        float* const out = band_.pass.map.row(y + i) + strip.begin * kPixelFloats + block_.channel;
        block_.out.kernel->run(rows.gated[i], block_.out.weights.data(),
                               rows.mixed.row(y + i) + block_.channels, block_.channels, out, kPixelFloats,
                               strip.size());
    }
}

}  // namespace

void block_pass(const Pass& pass, const std::vector<Block>& blocks,
                const std::vector<std::vector<std::vector<float>>>& mixes) {
    const Limits limits(pass);
    pass.for_each_band([&](std::ptrdiff_t index, Span rows) {
        const Band band{pass, limits, index, rows};
        std::vector<BlockOnBand> on_band;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            on_band.emplace_back(band, blocks[i], mixes[i]);
        }
        for (std::ptrdiff_t strip = 0; strip < pass.tiling.strips(); ++strip) {
            for (BlockOnBand& block : on_band) {
                block.run(pass.tiling.strip(strip));
            }
        }
    });
}

}  // namespace refusion
