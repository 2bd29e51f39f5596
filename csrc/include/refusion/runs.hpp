#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "refusion/image.hpp"
#include "refusion/kernels.hpp"

// Between images of any strides and the contiguous runs that the kernels work on.
namespace refusion {

// Calls body(y, x, n) for the runs that cover rows [begin, end) of an image of that width.
template <class Body>
void for_each_run(std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t width, const Body& body) {
    for (std::ptrdiff_t y = begin; y < end; ++y) {
        for (std::ptrdiff_t x = 0; x < width; x += kernels::kMaxRun) {
            body(y, x, std::min(kernels::kMaxRun, width - x));
        }
    }
}

template <class T>
void gather(const T* from, std::ptrdiff_t stride, std::ptrdiff_t n, T* to) {
    if (stride == 1) {
        std::copy_n(from, n, to);
        return;
    }
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        to[i] = from[i * stride];
    }
}

template <class T>
void scatter(const T* from, std::ptrdiff_t n, T* to, std::ptrdiff_t stride) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        to[i * stride] = from[i];
    }
}

// One channel of a run: where it lies, if it is contiguous there, else a copy in the buffer.
template <class T>
const T* read_channel(const Image<const T>& image, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t n,
                      T* buffer) {
    if (image.column_stride == 1) {
        return image.at(y, x);
    }
    gather(image.at(y, x), image.column_stride, n, buffer);
    return buffer;
}

// Lets write(pointer) fill one channel of a run, in place if it is contiguous there, else through the buffer.
template <class T, class Write>
void write_channel(const Image<T>& image, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t channel,
                   std::ptrdiff_t n, T* buffer, const Write& write) {
    T* const to = image.at(y, x, channel);
    if (image.column_stride == 1) {
        write(to);
    } else {
        write(buffer);
        scatter(buffer, n, to, image.column_stride);
    }
}

// A run with its three channels apart; a gray image has three equal ones.
inline void read_bgr(const Image<const std::uint8_t>& image, std::ptrdiff_t y, std::ptrdiff_t x,
                     std::ptrdiff_t n, kernels::Bgr& out) {
    if (image.channels == 1) {
        gather(image.at(y, x), image.column_stride, n, out.b);
        std::copy_n(out.b, n, out.g);
        std::copy_n(out.b, n, out.r);
    } else if (image.column_stride == 3 && image.channel_stride == 1) {
        kernels::deinterleave(image.at(y, x), n, out);
    } else if (image.column_stride == 3 && image.channel_stride == -1) {  // RGB seen as BGR: x[..., ::-1]
        kernels::deinterleave(image.at(y, x, 2), n, out);
        std::swap_ranges(out.b, out.b + n, out.r);
    } else {
        gather(image.at(y, x, 0), image.column_stride, n, out.b);
        gather(image.at(y, x, 1), image.column_stride, n, out.g);
        gather(image.at(y, x, 2), image.column_stride, n, out.r);
    }
}

inline void write_bgr(const kernels::Bgr& run, std::ptrdiff_t n, const Image<std::uint8_t>& image,
                      std::ptrdiff_t y, std::ptrdiff_t x) {
    if (image.column_stride == 3 && image.channel_stride == 1) {
        kernels::interleave(run, n, image.at(y, x));
    } else {
        scatter(run.b, n, image.at(y, x, 0), image.column_stride);
        scatter(run.g, n, image.at(y, x, 1), image.column_stride);
        scatter(run.r, n, image.at(y, x, 2), image.column_stride);
    }
}

}  // namespace refusion
