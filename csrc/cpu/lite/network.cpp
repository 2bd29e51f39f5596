#include "refusion/lite_network.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "../state_dict.hpp"
#include "kernels.hpp"
#include "refusion/fusion_network.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {
namespace lite {

const Kernels& kernels(InstructionSet instruction_set) {
#if defined(__x86_64__)
    if (instruction_set == InstructionSet::kAvx512 || instruction_set == InstructionSet::kAvx512Bf16) {
        return avx512::kLiteKernels;
    }
    if (instruction_set == InstructionSet::kAvx2) {
        return avx2::kLiteKernels;
    }
#else
    static_cast<void>(instruction_set);
#endif
    return baseline::kLiteKernels;
}

namespace {

constexpr std::ptrdiff_t kBandsPerThread = 4;
constexpr int kMostRows = 2 * static_cast<int>(kRadius) + 1;

// Several planes of small pixels.
template <int kCount>
class Planes {
  public:
    Planes(std::ptrdiff_t height, std::ptrdiff_t width)
        : height_(height), width_(width), values_(static_cast<std::size_t>(kCount * height * width)) {}

    using Row = std::array<float*, kCount>;
    Row row(std::ptrdiff_t y) {
        Row row;
        for (int i = 0; i < kCount; ++i) {
            row[static_cast<std::size_t>(i)] = plane(i) + y * width_;
        }
        return row;
    }
    float* plane(int index) { return values_.data() + index * height_ * width_; }
    std::ptrdiff_t height() const { return height_; }
    std::ptrdiff_t width() const { return width_; }

  private:
    std::ptrdiff_t height_, width_;
    std::vector<float> values_;
};

// The rows of the windows around row y that are in the picture.
template <int kCount>
class WindowRows {
  public:
    WindowRows(Planes<kCount>& planes, std::ptrdiff_t y) {
        const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(y - kRadius, 0);
        const std::ptrdiff_t end = std::min(y + kRadius + 1, planes.height());
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            const auto places = planes.row(row);
            std::copy(places.begin(), places.end(), rows_[count_].begin());
            pointers_[count_] = rows_[count_].data();
            ++count_;
        }
    }
    const float* const* const* get() const { return pointers_.data(); }
    int count() const { return static_cast<int>(count_); }

  private:
    std::array<std::array<const float*, kCount>, kMostRows> rows_;
    std::array<const float* const*, kMostRows> pointers_;
    std::size_t count_ = 0;
};

struct Sources {
    const float* a;
    const float* b;
    std::ptrdiff_t height, width;
};

class Guided {
  public:
    Guided(const Kernels& kernels, const Sources& sources, float detail, int threads)
        : kernels_(kernels),
          sources_(sources),
          detail_(detail),
          threads_(threads),
          height_((sources.height + kStride - 1) / kStride),
          width_((sources.width + kStride - 1) / kStride),
          small_(height_, width_),
          moments_(height_, width_),
          fits_(height_, width_),
          coefficients_(height_, width_) {}

    void run(FusionNetwork& network, float* fused) {
        for_rows(height_, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { pool(begin, end); });
        network.run(small_.plane(0), 1, height_, width_, small_.plane(2));
        for_rows(height_, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { sum_moments(begin, end); });
        for_rows(height_, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { fit(begin, end); });
        for_rows(height_, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { average(begin, end); });
        for_rows(sources_.height, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { apply(begin, end, fused); });
    }

  private:
    template <class Body>
    void for_rows(std::ptrdiff_t rows, Body body) const {
        const std::ptrdiff_t bands = threads_ * kBandsPerThread;
        parallel_for(rows, (rows + bands - 1) / bands, body, threads_);
    }

    void pool(std::ptrdiff_t begin, std::ptrdiff_t end) {
        std::vector<float> line(static_cast<std::size_t>(width_ * kStride));
        for (std::ptrdiff_t y = begin; y < end; ++y) {
            int plane = 0;
            for (const float* source : {sources_.a, sources_.b}) {
                const float* rows[kStride];
                for (std::ptrdiff_t i = 0; i < kStride; ++i) {
                    rows[i] = source + std::min(y * kStride + i, sources_.height - 1) * sources_.width;
                }
                kernels_.pool(rows, sources_.width, line.data(), small_.plane(plane++) + y * width_);
            }
        }
    }

    void sum_moments(std::ptrdiff_t begin, std::ptrdiff_t end) {
        std::vector<float> line(static_cast<std::size_t>(width_ + 2 * kRadius));
        for (std::ptrdiff_t y = begin; y < end; ++y) {
            const auto small = small_.row(y);
            const auto out = moments_.row(y);
            kernels_.sum_moments(small[0], small[1], small[2], width_, line.data(), out.data());
        }
    }

    void fit(std::ptrdiff_t begin, std::ptrdiff_t end) {
        std::vector<float> line(static_cast<std::size_t>(width_ + 2 * kRadius));
        Planes<kMoments> scratch(1, width_);
        const auto places = scratch.row(0);
        for (std::ptrdiff_t y = begin; y < end; ++y) {
            const WindowRows<kMoments> rows(moments_, y);
            const auto out = fits_.row(y);
            kernels_.fit(rows.get(), rows.count(), width_, line.data(), places.data(), out.data());
        }
    }

    void average(std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t y = begin; y < end; ++y) {
            const WindowRows<kCoefficients> rows(fits_, y);
            const auto out = coefficients_.row(y);
            kernels_.average(rows.get(), rows.count(), width_, out.data());
        }
    }

    void apply(std::ptrdiff_t begin, std::ptrdiff_t end, float* fused) {
        const std::ptrdiff_t width = sources_.width, last = sources_.height - 1;
        std::vector<float> line(static_cast<std::size_t>(3 * width_ * kStride + width_ + 2));
        std::vector<float> ring(static_cast<std::size_t>(3 * width));
        const auto at = [&](std::ptrdiff_t y) { return ring.data() + (y + 3) % 3 * width; };
        const auto row = [&](std::ptrdiff_t y) { return std::min(std::max<std::ptrdiff_t>(y, 0), last); };
        const auto apply_row = [&](std::ptrdiff_t y) {
            // Row y lies between the centres of two rows of small pixels.
            const std::ptrdiff_t above = (y + kStride / 2) / kStride - 1;
            const float share = static_cast<float>(2 * ((y + kStride / 2) % kStride) + 1) / (2 * kStride);
            const auto upper = coefficients_.row(std::max<std::ptrdiff_t>(above, 0));
            const auto lower = coefficients_.row(std::min(above + 1, height_ - 1));
            kernels_.apply(upper.data(), lower.data(), share, width_, sources_.a + y * width,
                           sources_.b + y * width, width, line.data(), at(y));
        };
        apply_row(row(begin - 1));
        if (begin > 0) {
            apply_row(begin);
        }
        for (std::ptrdiff_t y = begin; y < end; ++y) {
            if (y < last) {
                apply_row(y + 1);
            }
            const float* const rows[] = {at(row(y - 1)), at(y), at(row(y + 1))};
            kernels_.sharpen(rows, width, detail_, line.data(), fused + y * width);
        }
    }

    const Kernels& kernels_;
    const Sources sources_;
    const float detail_;
    const int threads_;
    const std::ptrdiff_t height_, width_;
    Planes<3> small_;  // both sources, fused
    Planes<kMoments> moments_;
    Planes<kCoefficients> fits_;
    Planes<kCoefficients + 1> coefficients_;
};

// The tensors of the network within, by its own names.
Tensors of_fusion(const Tensors& tensors) {
    static const std::string prefix = "fusion.";
    Tensors own;
    for (const auto& [name, tensor] : tensors) {
        if (name.compare(0, prefix.size(), prefix) == 0) {
            own[name.substr(prefix.size())] = tensor;
        } else if (name != "detail") {
            throw std::invalid_argument("the tensor " + name + " is not of this network");
        }
    }
    return own;
}

}  // namespace
}  // namespace lite

class LiteNetwork::Implementation {
  public:
    Implementation(const Tensors& tensors, const std::string& instruction_set, int threads)
        : network_(lite::of_fusion(tensors), instruction_set, threads),
          kernels_(lite::kernels(instruction_set_named(instruction_set))),
          detail_(StateDict(tensors).read("detail", {1}).front()),
          threads_(threads) {}

    void run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
             float* fused) {
        const int threads = threads_ > 0 ? std::min(threads_, thread_count()) : thread_count();
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            const float* const pair = sources + 2 * i * height * width;
            lite::Guided(kernels_, {pair, pair + height * width, height, width}, detail_, threads)
                .run(network_, fused + i * height * width);
        }
    }

    std::string instruction_set() const { return network_.instruction_set(); }

  private:
    FusionNetwork network_;
    const lite::Kernels& kernels_;
    const float detail_;
    const int threads_;
};

LiteNetwork::LiteNetwork(const Tensors& tensors, const std::string& instruction_set, int threads)
    : implementation_(std::make_unique<Implementation>(tensors, instruction_set, threads)) {}

LiteNetwork::~LiteNetwork() = default;

std::string LiteNetwork::instruction_set() const { return implementation_->instruction_set(); }

void LiteNetwork::run(const float* sources, std::ptrdiff_t count, std::ptrdiff_t height, std::ptrdiff_t width,
                      float* fused) const {
    implementation_->run(sources, count, height, width, fused);
}

}  // namespace refusion
