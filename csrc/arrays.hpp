#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "refusion/image.hpp"
#include "refusion/warp.hpp"

// NumPy arrays seen as images, without a copy. Every mismatch is a ValueError that states both sides.
namespace refusion::arrays {

namespace py = pybind11;

inline std::string shape_text(const py::array& array) {
    return py::str(py::tuple(array.attr("shape"))).cast<std::string>();
}

[[noreturn]] inline void refuse(const char* name, const std::string& expected, const std::string& found) {
    throw std::invalid_argument(std::string(name) + " must be " + expected + ", not " + found);
}

// Strides are counted in elements from here on, so data that lies between elements cannot be addressed.
template <class T>
void require_elements(const py::array& array, const char* name, const char* dtype) {
    if (!py::isinstance<py::array_t<T>>(array)) {
        refuse(name, dtype, py::str(array.dtype()).cast<std::string>());
    }
    if (!array.attr("flags").attr("aligned").cast<bool>()) {
        refuse(name, "aligned in memory", "a view at odd addresses; pass a copy");
    }
    if (array.size() == 0) {
        refuse(name, "an image of at least one pixel", "of shape " + shape_text(array));
    }
}

inline void require_writable(const py::array& array, const char* name) {
    if (!array.writeable()) {
        refuse(name, "writable", "read-only");
    }
}

// The axes are numbered by their place in the shape; no channel axis is given as -1.
template <class T>
Image<T> image_of(const py::array& array, T* data, int row_axis, int column_axis, int channel_axis) {
    const auto stride = [&](int axis) {
        return static_cast<std::ptrdiff_t>(array.strides(axis)) / static_cast<std::ptrdiff_t>(sizeof(T));
    };
    Image<T> image;
    image.data = data;
    image.height = array.shape(row_axis);
    image.width = array.shape(column_axis);
    image.row_stride = stride(row_axis);
    image.column_stride = stride(column_axis);
    if (channel_axis >= 0) {
        image.channels = array.shape(channel_axis);
        image.channel_stride = stride(channel_axis);
    }
    return image;
}

inline void require_frame(const py::array& array, const char* name) {
    const bool gray = array.ndim() == 2, bgr = array.ndim() == 3 && array.shape(2) == 3;
    if (!gray && !bgr) {
        refuse(name, "(H, W) or (H, W, 3)", "of shape " + shape_text(array));
    }
    require_elements<std::uint8_t>(array, name, "uint8");
}

// uint8 (H, W) or (H, W, 3).
inline Image<const std::uint8_t> frame(const py::array& array, const char* name) {
    require_frame(array, name);
    const auto* data = static_cast<const std::uint8_t*>(array.data());
    return image_of(array, data, 0, 1, array.ndim() == 3 ? 2 : -1);
}

inline Image<std::uint8_t> frame_out(py::array& array, const char* name) {
    require_frame(array, name);
    require_writable(array, name);
    auto* data = static_cast<std::uint8_t*>(array.mutable_data());
    return image_of(array, data, 0, 1, array.ndim() == 3 ? 2 : -1);
}

// float32 (H, W).
inline Image<const float> plane(const py::array& array, const char* name) {
    if (array.ndim() != 2) {
        refuse(name, "(H, W)", "of shape " + shape_text(array));
    }
    require_elements<float>(array, name, "float32");
    return image_of(array, static_cast<const float*>(array.data()), 0, 1, -1);
}

// float32 (2, H, W).
inline Image<float> two_planes_out(py::array& array, const char* name) {
    if (array.ndim() != 3 || array.shape(0) != 2) {
        refuse(name, "(2, H, W)", "of shape " + shape_text(array));
    }
    require_elements<float>(array, name, "float32");
    require_writable(array, name);
    return image_of(array, static_cast<float*>(array.mutable_data()), 1, 2, 0);
}

// float32 (rows, columns, 2), without gaps.
inline Warp warp(const py::array& nodes) {
    if (nodes.ndim() != 3 || nodes.shape(2) != 2) {
        refuse("nodes", "(rows, columns, 2)", "of shape " + shape_text(nodes));
    }
    require_elements<float>(nodes, "nodes", "float32");
    if ((nodes.flags() & py::array::c_style) == 0) {
        refuse("nodes", "without gaps", "strided");
    }
    return {static_cast<const float*>(nodes.data()), nodes.shape(0), nodes.shape(1)};
}

}  // namespace refusion::arrays
