#include "refusion/preprocess.hpp"

#include <cstddef>

#include "refusion/kernels.hpp"
#include "refusion/runs.hpp"
#include "refusion/thread_pool.hpp"
#include "refusion/warp_kernels.hpp"
#include "warp_runs.hpp"

namespace refusion {
namespace {

struct Buffers {
    kernels::Bgr bgr;
    std::uint8_t gray[kernels::kMaxRun];
    float luma[kernels::kMaxRun];
};

void luma_run(const Image<const std::uint8_t>& source, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n,
              Buffers& buffers, float* out) {
    if (source.channels == 1) {
        kernels::luma_of_gray(read_channel(source, y, x, n, buffers.gray), n, out);
    } else {
        read_bgr(source, y, x, n, buffers.bgr);
        kernels::luma_of_bgr(buffers.bgr, n, out);
    }
}

}  // namespace

void preprocess(const Image<const std::uint8_t>& a, const Image<const std::uint8_t>& b,
                const Image<float>& out) {
    require_same_size(a, "a", b, "b");
    require_same_size(a, "a", out, "out");
    const Image<const std::uint8_t>* const sources[] = {&a, &b};
    parallel_for_rows(a.height, a.width, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        Buffers buffers;
        for_each_run(begin, end, a.width, [&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
            for (std::ptrdiff_t i = 0; i < 2; ++i) {
                write_channel(out, y, x, i, n, buffers.luma,
                              [&](float* to) { luma_run(*sources[i], y, x, n, buffers, to); });
            }
        });
    });
}

void preprocess(const Image<const std::uint8_t>& a, const Warp& warp, const Image<const std::uint8_t>& b,
                const Image<float>& out) {
    require_same_size(b, "b", out, "out");
    const FadeBox box = fade_box(warp, b.height, b.width, a.height, a.width);
    PaddedPlanes source(a.height, a.width, 1);
    source.fill([&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
        Buffers buffers;
        luma_run(a, y, x, n, buffers, source.at(0, y, x));
    });
    parallel_for_rows(b.height, b.width, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        Buffers buffers;
        PlaceBuffers places;
        kernels::Samples samples;
        float shown[kernels::kMaxRun];
        for_each_run(begin, end, b.width, [&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
            const float* luma = nullptr;
            write_channel(out, y, x, 1, n, buffers.luma, [&](float* to) {
                luma_run(b, y, x, n, buffers, to);
                luma = to;
            });
            places_of_run(warp, y, x, n, places);
            kernels::aim(places.places, n, source.plane(0), box, 1.0f / kFadePixels, samples);
            write_channel(out, y, x, 0, n, shown,
                          [&](float* to) { kernels::show_faded(source.plane(0), samples, n, luma, to); });
        });
    });
}

}  // namespace refusion
