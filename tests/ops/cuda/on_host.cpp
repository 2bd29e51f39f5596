// The CUDA kernels' bodies, compiled for the host and called for one thread after the other. Functions return
// how many of their sources went the wide way, so that tests know what they tested.
#include <vector>

#include "postprocess.cuh"
#include "preprocess.cuh"
#include "range.cuh"
#include "refusion/cuda_image.hpp"
#include "refusion/cuda_ops.hpp"
#include "warping.cuh"

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
    int channels, bits;
    float low, high;
};

static CudaImage image_of(const ImageArguments* given) {
    return {given->pointer, given->height,    given->width, given->channels,
            given->bits,    given->row_bytes, given->low,   given->high};
}

struct WarpArguments {
    std::uintptr_t nodes;
    float box[4];
};

int preprocess(const ImageArguments* a, const WarpArguments* warp, const ImageArguments* b, void* out,
               std::ptrdiff_t height, std::ptrdiff_t width, int half) {
    return with_value(half, [&](auto value) {
        auto* const planes = static_cast<decltype(value)*>(out);
        const auto run = [](const auto& job) {
            for (int block = 0; block < job.tiling.blocks; ++block) {
                for (int thread = 0; thread < kThreads; ++thread) {
                    write_luma(job, block, thread);
                }
            }
        };
        // The first last, for what it may write beyond its plane to be seen.
        const auto job_b = luma_job(image_of(b), planes + height * width, height, width);
        run(job_b);
        if (warp != nullptr) {
            const CudaWarp of{warp->nodes, {warp->box[0], warp->box[1], warp->box[2], warp->box[3]}};
            run(warped_job(image_of(a), of, image_of(b), planes, height, width));
            return int{job_b.is_wide};
        }
        const auto job_a = luma_job(image_of(a), planes, height, width);
        run(job_a);
        return job_a.is_wide + job_b.is_wide;
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
