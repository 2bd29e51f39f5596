// Calls the operations and both networks from several threads at once, for a thread sanitizer to look at.
// Ends with 1 where a result depends on who else is calling.
#include <atomic>
#include <cstddef>
#include <functional>
#include <iostream>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "refusion/refusion.hpp"

namespace {

constexpr int kCallers = 4, kRounds = 6;
constexpr std::ptrdiff_t kHeight = 67, kWidth = 131, kPixels = kHeight * kWidth;

std::vector<float> ramp(std::size_t count) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<float>(i % 251) / 251.0f;
    }
    return values;
}

// Tensors that own their values, of shapes that a file states: NAME DIMENSIONS SIZE... a line.
class Weights {
  public:
    explicit Weights(std::istream& shapes) {
        std::string name;
        for (std::size_t dimensions = 0; shapes >> name >> dimensions;) {
            if (name == "end") {
                return;
            }
            std::vector<std::ptrdiff_t> shape(dimensions);
            std::size_t count = 1;
            for (std::ptrdiff_t& size : shape) {
                shapes >> size;
                count *= static_cast<std::size_t>(size);
            }
            values_.push_back(std::vector<float>(count));
            std::size_t index = 0;
            for (float& value : values_.back()) {
                value = 0.01f * static_cast<float>(static_cast<int>(index++ * 7 % 13) - 6);
            }
            tensors_[name] = {values_.back().data(), shape};
        }
    }

    const refusion::Tensors& tensors() const { return tensors_; }

  private:
    std::list<std::vector<float>> values_;
    refusion::Tensors tensors_;
};

// Runs `call` once alone, then from all callers at once while the number of threads changes.
bool agrees(const std::function<std::vector<float>()>& call) {
    const std::vector<float> expected = call();
    std::atomic<bool> equal{true};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
        callers.emplace_back([&, caller] {
            for (int round = 0; round < kRounds; ++round) {
                if (caller == 0) {
                    refusion::set_thread_count(1 + round % 3);
                }
                if (call() != expected) {
                    equal = false;
                }
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    return equal;
}

std::vector<float> operations() {
    static const std::vector<unsigned char> gray(kPixels, 90), colour(3 * kPixels, 120);
    const refusion::Image<const unsigned char> a{gray.data(), kHeight, kWidth, 1, kWidth, 1, 0};
    const refusion::Image<const unsigned char> b{colour.data(), kHeight, kWidth, 3, 3 * kWidth, 3, 1};
    std::vector<float> sources(2 * kPixels);
    refusion::preprocess(a, b, {sources.data(), kHeight, kWidth, 2, kWidth, 1, kPixels});
    const std::vector<float> fused = ramp(kPixels);
    const refusion::Image<const float> plane{fused.data(), kHeight, kWidth, 1, kWidth, 1, 0};
    const auto [low, high] = refusion::value_range(plane);
    std::vector<unsigned char> picture(3 * kPixels);
    refusion::postprocess(plane, a, b, refusion::Chroma::kB, low, high,
                          {picture.data(), kHeight, kWidth, 3, 3 * kWidth, 3, 1});
    sources.insert(sources.end(), picture.begin(), picture.end());
    return sources;
}

template <typename Network>
std::vector<float> fused(Network& network) {
    static const std::vector<float> sources = ramp(2 * kPixels);
    std::vector<float> result(kPixels);
    network.run(sources.data(), 1, kHeight, kWidth, result.data());
    return result;
}

}  // namespace

int main() {
    refusion::set_thread_count(3);
    const Weights full_weights(std::cin), lite_weights(std::cin);
    refusion::FusionNetwork full(full_weights.tensors());
    refusion::LiteNetwork lite(lite_weights.tensors());
    const bool equal =
        agrees(operations) && agrees([&] { return fused(full); }) && agrees([&] { return fused(lite); });
    std::cout << (equal ? "equal" : "different") << '\n';
    return equal ? 0 : 1;
}
