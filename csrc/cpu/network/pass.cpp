#include <exception>
#include <mutex>

#include "passes.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {

void Pass::for_each_band(const std::function<void(std::ptrdiff_t, Span)>& body) const {
    std::mutex mutex;
    std::exception_ptr failure;
    const auto take = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        try {
            for (std::ptrdiff_t index = begin; index < end; ++index) {
                body(index, tiling.band(index));
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
        }
    };
    parallel_for(tiling.bands(), 1, take, threads);
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace refusion
