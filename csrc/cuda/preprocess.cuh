#pragma once

#include "pixels.cuh"
#include "tiling.hpp"

// Luma of one source: plan on the host, body of a thread.
namespace refusion::cuda {

template <class Value>
struct LumaJob {
    Source source;
    Value* out = nullptr;
    int width = 0;  // of a row as the tiling sees it
    bool is_wide = false;
    Tiling tiling;
};

// Wide loads need aligned rows; 8-bit images with levels are rare enough to go pixel by pixel.
template <class Value>
LumaJob<Value> luma_job(const CudaImage& image, Value* out, std::ptrdiff_t height, std::ptrdiff_t width) {
    LumaJob<Value> job;
    job.source = source_of(image);
    job.out = out;
    if (has_gapless_rows(image)) {
        width *= height;
        height = 1;
    }
    const std::size_t source_alignment = image.bits == 16 ? 16 : 8;
    const auto aligned = [](std::uintptr_t start, std::ptrdiff_t row_bytes, bool is_one_row, std::size_t to) {
        return is_aligned(start, to) &&
               (is_one_row || is_aligned(static_cast<std::uintptr_t>(row_bytes), to));
    };
    job.is_wide = (image.bits == 16 || !image.has_levels()) &&
                  aligned(image.pointer, image.row_distance(), height == 1, source_alignment) &&
                  aligned(reinterpret_cast<std::uintptr_t>(out),
                          width * static_cast<std::ptrdiff_t>(sizeof(Value)), height == 1, 16);
    job.width = static_cast<int>(width);
    job.tiling = Tiling::of(job.is_wide ? (width + kPiecePixels - 1) / kPiecePixels : width, height);
    return job;
}

template <class Channel, int kChannels>
REFUSION_INLINE float piece_luma(const Piece<kPiecePixels * kChannels* int{sizeof(Channel)}>& piece,
                                 int pixel, const Source& source) {
    const auto channel = [&](int index) {
        if constexpr (sizeof(Channel) == 2) {
            return levelled(static_cast<float>(piece.two_bytes(index)), source);
        } else {
            return static_cast<float>(piece.byte(index));
        }
    };
    if constexpr (kChannels == 1) {
        return channel(pixel);
    } else {
        return kernels::weighted_sum(channel(3 * pixel), channel(3 * pixel + 1), channel(3 * pixel + 2));
    }
}

template <class Channel, int kChannels, class Value>
REFUSION_INLINE void write_piece(const LumaJob<Value>& job, int x, int y) {
    Piece<kPiecePixels * kChannels* int{sizeof(Channel)}> piece;
    piece.load(job.source.data + y * job.source.row_bytes + x * kChannels * int{sizeof(Channel)});
    ValuePiece<Value> luma;
    REFUSION_UNROLL
    for (int i = 0; i < kPiecePixels; i += 2) {
        set_two(luma, i, piece_luma<Channel, kChannels>(piece, i, job.source) * kernels::kPerLevel,
                piece_luma<Channel, kChannels>(piece, i + 1, job.source) * kernels::kPerLevel);
    }
    luma.store(job.out + static_cast<std::ptrdiff_t>(y) * job.width + x);
}

template <class Value>
REFUSION_INLINE void write_luma(const LumaJob<Value>& job, int block, int thread) {
    const Cell cell = cell_of(job.tiling, block, thread);
    if (!cell.is_inside) {
        return;
    }
    const int y = cell.row;
    const int x = job.is_wide ? cell.column * kPiecePixels : cell.column;
    if (!job.is_wide || x + kPiecePixels > job.width) {
        const int end = job.is_wide ? job.width : x + 1;
        for (int i = x; i < end; ++i) {
            store(job.out + static_cast<std::ptrdiff_t>(y) * job.width + i,
                  luma_at(job.source, i, y) * kernels::kPerLevel);
        }
    } else if (job.source.has_two_bytes) {
        job.source.channels == 1 ? write_piece<std::uint16_t, 1>(job, x, y)
                                 : write_piece<std::uint16_t, 3>(job, x, y);
    } else {
        job.source.channels == 1 ? write_piece<std::uint8_t, 1>(job, x, y)
                                 : write_piece<std::uint8_t, 3>(job, x, y);
    }
}

}  // namespace refusion::cuda
