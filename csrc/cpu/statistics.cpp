#include "refusion/statistics.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>
#include <limits>
#include <mutex>

#include "refusion/kernels.hpp"
#include "refusion/runs.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {

std::pair<float, float> value_range(const Image<const float>& fused) {
    float low = std::numeric_limits<float>::infinity(), high = -low;
    std::mutex mutex;
    parallel_for_rows(fused.height, fused.width, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        float buffer[kernels::kMaxRun];
        kernels::RangeLanes range;
        for_each_run(begin, end, fused.width, [&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
            kernels::extend_range(read_channel(fused, y, x, n, buffer), n, range);
        });
        const std::lock_guard lock(mutex);
        low = std::min(low, *std::min_element(std::begin(range.low), std::end(range.low)));
        high = std::max(high, *std::max_element(std::begin(range.high), std::end(range.high)));
    });
    return low <= high ? std::pair(low, high) : std::pair(0.0f, 0.0f);
}

bool is_gray(const Image<const std::uint8_t>& image) {
    if (image.channels == 1) {
        return true;
    }
    std::atomic<bool> gray{true};
    parallel_for_rows(image.height, image.width, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        kernels::Bgr run;
        for_each_run(begin, end, image.width, [&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
            if (gray.load(std::memory_order_relaxed)) {  // the first pixel with colour ends the search
                read_bgr(image, y, x, n, run);
                if (!kernels::all_gray(run, n)) {
                    gray.store(false, std::memory_order_relaxed);
                }
            }
        });
    });
    return gray;
}

}  // namespace refusion
