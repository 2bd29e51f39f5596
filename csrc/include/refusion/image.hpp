#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace refusion {

// A view of pixels that somebody else owns. Strides are in elements of T and may be any, negative too.
template <class T>
struct Image {
    T* data = nullptr;
    std::ptrdiff_t height = 0;
    std::ptrdiff_t width = 0;
    std::ptrdiff_t channels = 1;
    std::ptrdiff_t row_stride = 0;
    std::ptrdiff_t column_stride = 0;
    std::ptrdiff_t channel_stride = 0;

    T* at(std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t channel = 0) const {
        return data + y * row_stride + x * column_stride + channel * channel_stride;
    }

    bool is_contiguous_in_rows() const {
        return column_stride == channels && (channels == 1 || channel_stride == 1);
    }

    std::string size_text() const { return std::to_string(width) + "x" + std::to_string(height); }
};

// Throws std::invalid_argument unless both have the same width and height; the names are for the message.
template <class T, class U>
void require_same_size(const Image<T>& expected, const char* expected_name, const Image<U>& found,
                       const char* found_name) {
    if (expected.height != found.height || expected.width != found.width) {
        throw std::invalid_argument(std::string(found_name) + " must be of the size of " + expected_name +
                                    ", " + expected.size_text() + ", not " + found.size_text());
    }
}

}  // namespace refusion
