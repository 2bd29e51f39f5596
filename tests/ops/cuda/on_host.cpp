// The CUDA kernels' bodies, compiled for the host and called for one thread after the other. Functions return
// how many of their sources went the wide way, so that tests know what they tested.
#include <vector>

#include "postprocess.cuh"
#include "preprocess.cuh"
#include "range.cuh"
#include "refusion/cuda_image.hpp"

using namespace refusion;
using namespace refusion::cuda;

namespace {

template <class Run>
int with_value(int half, const Run& run) {
    return half ? run(Half{}) : run(float{});
}

template <Chroma kChroma, class Value>
void finish_all(const PictureJob<Value>& job) {
    for (int block = 0; block < job.tiling.blocks; ++block) {
        for (int thread = 0; thread < kThreads; ++thread) {
            finish<kChroma>(job, block, thread);
        }
    }
}

RangePart combined(std::vector<RangePart> parts) {
    for (int stride = kThreads / 2; stride > 0; stride /= 2) {
        for (int thread = 0; thread < kThreads; ++thread) {
            combine_across(parts.data(), thread, stride);
        }
    }
    return parts[0];
}

}  // namespace

extern "C" {

struct ImageArguments {
    std::uintptr_t pointer;
    std::ptrdiff_t height, width, row_bytes;
    int channels, bits, has_warp;
    float low, high, warp[9];
};

static CudaImage image_of(const ImageArguments* given) {
    CudaImage image{given->pointer,  given->height, given->width,
                    given->channels, given->bits,   given->row_bytes,
                    given->low,      given->high,   {}};
    if (given->has_warp) {
        image.warp.emplace();
        for (std::size_t i = 0; i < 9; ++i) {
            (*image.warp)[i] = given->warp[i];
        }
    }
    return image;
}

int preprocess(const ImageArguments* a, const ImageArguments* b, void* out, std::ptrdiff_t height,
               std::ptrdiff_t width, int half) {
    return with_value(half, [&](auto value) {
        auto* const planes = static_cast<decltype(value)*>(out);
        int wide = 0, plane = 1;
        // The first last, for what it may write beyond its plane to be seen.
        for (const ImageArguments* given : {b, a}) {
            const auto job = luma_job(image_of(given), planes + plane-- * height * width, height, width);
            for (int block = 0; block < job.tiling.blocks; ++block) {
                for (int thread = 0; thread < kThreads; ++thread) {
                    write_luma(job, block, thread);
                }
            }
            wide += job.is_wide;
        }
        return wide;
    });
}

int postprocess(const void* fused, const ImageArguments* a, const ImageArguments* b, int chroma,
                std::uintptr_t state, const ImageArguments* out, int half) {
    return with_value(half, [&](auto value) {
        const auto job = picture_job(static_cast<const decltype(value)*>(fused), image_of(a), image_of(b),
                                     static_cast<Chroma>(chroma), state, image_of(out));
        switch (job.chroma) {
            case Chroma::kNone:
                finish_all<Chroma::kNone>(job);
                break;
            case Chroma::kA:
                finish_all<Chroma::kA>(job);
                break;
            case Chroma::kB:
                finish_all<Chroma::kB>(job);
                break;
            case Chroma::kBoth:
                finish_all<Chroma::kBoth>(job);
                break;
        }
        return static_cast<int>(job.is_wide);
    });
}

int update_range(const void* fused, std::ptrdiff_t height, std::ptrdiff_t width, std::uintptr_t state,
                 int tracked, int half) {
    return with_value(half, [&](auto value) {
        const auto job =
            range_job(static_cast<const decltype(value)*>(fused), height, width, state, tracked != 0);
        std::vector<RangePart> parts(kThreads);
        for (int block = 0; block < job.blocks; ++block) {
            for (int thread = 0; thread < kThreads; ++thread) {
                parts[static_cast<std::size_t>(thread)] = scan(job, block, thread);
            }
            job.state.parts[block] = combined(parts);
        }
        for (int thread = 0; thread < kThreads; ++thread) {
            parts[static_cast<std::size_t>(thread)] = gather_parts(job, thread);
        }
        follow(job, combined(parts));
        return static_cast<int>(job.is_wide);
    });
}

std::size_t range_state_size(std::ptrdiff_t height, std::ptrdiff_t width) {
    return range_state_bytes(height, width);
}

std::size_t range_header_size() { return sizeof(RangeHeader); }
double headroom() { return kHeadroom; }
double band() { return kBand; }
double expansion() { return kExpansion; }
double contraction() { return kContraction; }
double largest_step() { return kLargestStep; }
double least_range() { return kLeastRange; }
double shoulder() { return kShoulder; }
double scene_cut() { return kSceneCut; }
int cut_stride() { return kCutStride; }
std::uint16_t half_bits(float value) { return to_half(value).bits; }
float half_value(std::uint16_t bits) { return to_float(Half{bits}); }
}
