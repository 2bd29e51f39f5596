#include "guided.hpp"

#include <algorithm>
#include <vector>

#include "refusion/thread_pool.hpp"

namespace refusion::lite {
namespace {

constexpr std::ptrdiff_t kBandsPerThread = 4;

template <class Body>
void for_rows(std::ptrdiff_t rows, int threads, Body body) {
    const std::ptrdiff_t bands = threads * kBandsPerThread;
    parallel_for(rows, (rows + bands - 1) / bands, body, threads);
}

}  // namespace

void Guided::pool() const {
    for_rows(space_.height, threads_,
             [&](std::ptrdiff_t begin, std::ptrdiff_t end) { pool_rows(begin, end); });
}

void Guided::finish(float* fused) const {
    const auto small_rows = [&](auto pass) {
        for_rows(space_.height, threads_,
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) { (this->*pass)(begin, end); });
    };
    small_rows(&Guided::sum_moments);
    small_rows(&Guided::fit);
    small_rows(&Guided::average);
    for_rows(sources_.height, threads_,
             [&](std::ptrdiff_t begin, std::ptrdiff_t end) { apply(begin, end, fused); });
}

void Guided::pool_rows(std::ptrdiff_t begin, std::ptrdiff_t end) const {
    std::vector<float> line(static_cast<std::size_t>(space_.width * kStride));
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        const auto small = space_.small.row(y);
        std::size_t plane = 0;
        for (const float* source : {sources_.a, sources_.b}) {
            const float* rows[kStride];
            for (std::ptrdiff_t i = 0; i < kStride; ++i) {
                rows[i] = source + std::min(y * kStride + i, sources_.height - 1) * sources_.width;
            }
            kernels_.pool(rows, sources_.width, line.data(), small[plane++]);
        }
    }
}

void Guided::sum_moments(std::ptrdiff_t begin, std::ptrdiff_t end) const {
    std::vector<float> line(static_cast<std::size_t>(space_.width + 2 * kRadius));
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        const auto small = space_.small.row(y);
        const auto out = space_.moments.row(y);
        kernels_.sum_moments(small.data(), space_.width, line.data(), out.data());
    }
}

void Guided::fit(std::ptrdiff_t begin, std::ptrdiff_t end) const {
    std::vector<float> line(static_cast<std::size_t>(space_.width + 2 * kRadius));
    Planes<kMoments> scratch(1, space_.width);
    const auto places = scratch.row(0);
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        const WindowRows<kMoments> rows(space_.moments, y);
        const auto out = space_.fits.row(y);
        kernels_.fit(rows.get(), rows.count(), space_.width, line.data(), places.data(), out.data());
    }
}

void Guided::average(std::ptrdiff_t begin, std::ptrdiff_t end) const {
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        const WindowRows<kCoefficients> rows(space_.fits, y);
        const auto out = space_.coefficients.row(y);
        kernels_.average(rows.get(), rows.count(), space_.width, out.data());
    }
}

void Guided::apply(std::ptrdiff_t begin, std::ptrdiff_t end, float* fused) const {
    const std::ptrdiff_t width = sources_.width, last = sources_.height - 1;
    std::vector<float> line(static_cast<std::size_t>(3 * space_.width * kStride + space_.width + 2));
    std::vector<float> ring(static_cast<std::size_t>(3 * width));
    const auto at = [&](std::ptrdiff_t y) { return ring.data() + (y + 3) % 3 * width; };
    const auto row = [&](std::ptrdiff_t y) { return std::min(std::max<std::ptrdiff_t>(y, 0), last); };
    const auto apply_row = [&](std::ptrdiff_t y) {
        // Row y lies between the centres of two rows of small pixels.
        const std::ptrdiff_t above = (y + kStride / 2) / kStride - 1;
        const float share = static_cast<float>(2 * ((y + kStride / 2) % kStride) + 1) / (2 * kStride);
        const auto upper = space_.coefficients.row(std::max<std::ptrdiff_t>(above, 0));
        const auto lower = space_.coefficients.row(std::min(above + 1, space_.height - 1));
        kernels_.apply(upper.data(), lower.data(), share, space_.width, sources_.a + y * width,
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
        kernels_.sharpen(rows, width, line.data(), fused + y * width);
    }
}

}  // namespace refusion::lite
