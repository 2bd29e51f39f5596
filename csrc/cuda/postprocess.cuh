#pragma once

#include "pixels.cuh"
#include "range.cuh"
#include "refusion/chroma.hpp"
#include "tiling.hpp"

// The finished picture: plan on the host, body of a thread.
namespace refusion::cuda {

using kernels::Chrominance;

template <class Value>
struct PictureJob {
    const Value* fused = nullptr;
    Source a;
    Source b;
    Chroma chroma = Chroma::kNone;
    const RangeHeader* range = nullptr;
    unsigned char* out = nullptr;
    std::ptrdiff_t out_row_bytes = 0;
    int width = 0;  // of a row as the tiling sees it
    bool is_wide = false;
    Tiling tiling;
};

// Wide: rows aligned, and colour from 8-bit BGR as a camera gives it. All else goes pixel by pixel.
template <class Value>
PictureJob<Value> picture_job(const Value* fused, const CudaImage& a, const CudaImage& b, Chroma chroma,
                              std::uintptr_t state, const CudaImage& out) {
    PictureJob<Value> job;
    job.fused = fused;
    job.a = source_of(a);
    job.b = source_of(b);
    job.chroma = chroma;
    job.range = reinterpret_cast<const RangeHeader*>(state);
    job.out = reinterpret_cast<unsigned char*>(out.pointer);
    job.out_row_bytes = out.row_distance();

    std::ptrdiff_t height = out.height, width = out.width;
    const bool uses_a = chroma == Chroma::kA || chroma == Chroma::kBoth;
    const bool uses_b = chroma == Chroma::kB || chroma == Chroma::kBoth;
    if (has_gapless_rows(out) && (!uses_a || has_gapless_rows(a)) && (!uses_b || has_gapless_rows(b))) {
        width *= height;
        height = 1;
    }
    const auto is_aligned_to = [&](std::uintptr_t start, std::ptrdiff_t row_bytes, std::size_t bytes) {
        return is_aligned(start, bytes) &&
               (height == 1 || is_aligned(static_cast<std::uintptr_t>(row_bytes), bytes));
    };
    const auto is_easy = [&](const CudaImage& image) {
        return image.channels == 3 && !image.has_levels() &&
               is_aligned_to(image.pointer, image.row_distance(), 8);
    };
    job.is_wide = is_aligned_to(out.pointer, out.row_distance(), 8) &&
                  is_aligned_to(reinterpret_cast<std::uintptr_t>(fused),
                                width * static_cast<std::ptrdiff_t>(sizeof(Value)), 16) &&
                  (!uses_a || is_easy(a)) && (!uses_b || is_easy(b));
    job.width = static_cast<int>(width);
    job.tiling = Tiling::of(job.is_wide ? (width + kPiecePixels - 1) / kPiecePixels : width, height);
    return job;
}

REFUSION_INLINE Stretch stretch_of(const RangeHeader* range) {
    return range != nullptr && range->is_usable ? range->stretch
                                                : Stretch{0.0f, 255.0f, 0.0f, 0.0f, 255.0f, 0.0f};
}

// The low byte of the result is the value, clipped and rounded.
REFUSION_INLINE std::uint32_t rounded(float value) {
    return bits_of(kernels::clip(value) + kernels::kOneApart);
}

REFUSION_INLINE std::uint32_t packed(std::uint32_t first, std::uint32_t second, std::uint32_t third,
                                     std::uint32_t fourth) {
#if defined(__CUDA_ARCH__)
    return __byte_perm(__byte_perm(first, second, 0x0040), __byte_perm(third, fourth, 0x0040), 0x5410);
#else
    return (first & 0xffu) | (second & 0xffu) << 8 | (third & 0xffu) << 16 | fourth << 24;
#endif
}

using BgrPiece = Piece<3 * kPiecePixels>;

REFUSION_INLINE Chrominance chrominance_at(const BgrPiece& piece, int pixel) {
    return kernels::chrominance(static_cast<float>(piece.byte(3 * pixel)),
                                static_cast<float>(piece.byte(3 * pixel + 1)),
                                static_cast<float>(piece.byte(3 * pixel + 2)));
}

REFUSION_INLINE Chrominance chrominance_at(const Source& source, int x, int y) {
    const Colour colour = colour_at(source, x, y);
    return kernels::chrominance(colour.b, colour.g, colour.r);
}

template <Chroma kChroma, class Value>
REFUSION_INLINE void finish_pixel(const PictureJob<Value>& job, Stretch stretch, int x, int y) {
    const float fused =
        kernels::stretched(to_float(job.fused[static_cast<std::ptrdiff_t>(y) * job.width + x]), stretch);
    unsigned char* const row = job.out + y * job.out_row_bytes;
    if constexpr (kChroma == Chroma::kNone) {
        row[x] = kernels::to_byte(fused);
    } else {
        Chrominance chroma = chrominance_at(kChroma == Chroma::kB ? job.b : job.a, x, y);
        if constexpr (kChroma == Chroma::kBoth) {
            chroma = kernels::merged(chroma, chrominance_at(job.b, x, y));
        }
        const Colour colour = kernels::coloured(fused, chroma);
        row[3 * x] = kernels::to_byte(colour.b);
        row[3 * x + 1] = kernels::to_byte(colour.g);
        row[3 * x + 2] = kernels::to_byte(colour.r);
    }
}

template <Chroma kChroma, class Value>
REFUSION_INLINE void finish_piece(const PictureJob<Value>& job, Stretch stretch, int x, int y) {
    ValuePiece<Value> fused;
    BgrPiece first, second;
    fused.load(job.fused + static_cast<std::ptrdiff_t>(y) * job.width + x);
    if constexpr (kChroma != Chroma::kNone) {
        const Source& source = kChroma == Chroma::kB ? job.b : job.a;
        first.load(source.data + y * source.row_bytes + 3 * x);
    }
    if constexpr (kChroma == Chroma::kBoth) {
        second.load(job.b.data + y * job.b.row_bytes + 3 * x);
    }
    constexpr int kChannels = kChroma == Chroma::kNone ? 1 : 3;
    std::uint32_t bytes[kPiecePixels * kChannels];
    REFUSION_UNROLL
    for (int i = 0; i < kPiecePixels; ++i) {
        const float luma = kernels::stretched(value_at(fused, i), stretch);
        if constexpr (kChroma == Chroma::kNone) {
            bytes[i] = rounded(luma);
        } else {
            Chrominance chroma = chrominance_at(first, i);
            if constexpr (kChroma == Chroma::kBoth) {
                chroma = kernels::merged(chroma, chrominance_at(second, i));
            }
            const Colour colour = kernels::coloured(luma, chroma);
            bytes[3 * i] = rounded(colour.b);
            bytes[3 * i + 1] = rounded(colour.g);
            bytes[3 * i + 2] = rounded(colour.r);
        }
    }
    Piece<kPiecePixels * kChannels> picture;
    REFUSION_UNROLL
    for (int i = 0; i < kPiecePixels * kChannels; i += 4) {
        picture.word(i / 4) = packed(bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]);
    }
    picture.store(job.out + y * job.out_row_bytes + kChannels * x);
}

template <Chroma kChroma, class Value>
REFUSION_INLINE void finish(const PictureJob<Value>& job, int block, int thread) {
    const Cell cell = cell_of(job.tiling, block, thread);
    if (!cell.is_inside) {
        return;
    }
    const Stretch stretch = stretch_of(job.range);
    const int x = job.is_wide ? cell.column * kPiecePixels : cell.column;
    if (job.is_wide && x + kPiecePixels <= job.width) {
        finish_piece<kChroma>(job, stretch, x, cell.row);
        return;
    }
    const int end = job.is_wide ? job.width : x + 1;
    for (int i = x; i < end; ++i) {
        finish_pixel<kChroma>(job, stretch, i, cell.row);
    }
}

}  // namespace refusion::cuda
