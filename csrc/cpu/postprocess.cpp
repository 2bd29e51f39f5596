#include "refusion/postprocess.hpp"

#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "refusion/kernels.hpp"
#include "refusion/runs.hpp"
#include "refusion/thread_pool.hpp"

namespace refusion {
namespace {

struct Buffers {
    float fused[kernels::kMaxRun];
    std::uint8_t gray[kernels::kMaxRun];
    kernels::Bgr a;
    kernels::Bgr b;
    kernels::Bgr out;
};

kernels::Stretch stretch_of(float low, float high, float shoulder) {
    if (!(std::isfinite(low) && std::isfinite(high) && low < high)) {
        throw std::invalid_argument("the range must be low < high, both finite, not (" + std::to_string(low) +
                                    ", " + std::to_string(high) + ")");
    }
    if (!(shoulder == 0.0f || (shoulder >= 1.0f && shoulder <= 127.0f))) {
        throw std::invalid_argument("the shoulder must have 1 to 127 gray levels, or 0 for none, not " +
                                    std::to_string(shoulder));
    }
    return kernels::stretch_between(low, high, shoulder);
}

void require_channels(const Image<std::uint8_t>& out, Chroma chroma) {
    const std::ptrdiff_t expected = chroma == Chroma::kNone ? 1 : 3;
    if (out.channels != expected) {
        throw std::invalid_argument("out must have " + std::to_string(expected) +
                                    " channel(s) for this chroma, not " + std::to_string(out.channels));
    }
}

}  // namespace

void postprocess(const Image<const float>& fused, const Image<const std::uint8_t>& a,
                 const Image<const std::uint8_t>& b, Chroma chroma, float low, float high,
                 const Image<std::uint8_t>& out, float shoulder) {
    require_same_size(fused, "fused", a, "a");
    require_same_size(fused, "fused", b, "b");
    require_same_size(fused, "fused", out, "out");
    require_channels(out, chroma);
    const kernels::Stretch stretch = stretch_of(low, high, shoulder);
    parallel_for_rows(out.height, out.width, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        Buffers buffers;
        for_each_run(begin, end, out.width, [&](std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n) {
            const float* const values = read_channel(fused, y, x, n, buffers.fused);
            if (chroma == Chroma::kNone) {
                write_channel(out, y, x, 0, n, buffers.gray,
                              [&](std::uint8_t* to) { kernels::finish_gray(values, n, stretch, to); });
                return;
            }
            if (chroma == Chroma::kBoth) {
                read_bgr(a, y, x, n, buffers.a);
                read_bgr(b, y, x, n, buffers.b);
                kernels::finish_both(values, buffers.a, buffers.b, n, stretch, buffers.out);
            } else {
                read_bgr(chroma == Chroma::kA ? a : b, y, x, n, buffers.a);
                kernels::finish_one(values, buffers.a, n, stretch, buffers.out);
            }
            write_bgr(buffers.out, n, out, y, x);
        });
    });
}

}  // namespace refusion
