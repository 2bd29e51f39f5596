// The CUDA part of refusion._C: device addresses and streams are integers, as other libraries give them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "refusion/cuda_devices.hpp"
#include "refusion/cuda_ops.hpp"
#include "refusion/cuda_resources.hpp"

namespace py = pybind11;

namespace refusion::bindings {
namespace {

CudaStream stream_of(std::uintptr_t handle) { return reinterpret_cast<CudaStream>(handle); }

CudaValue value_of(bool half) { return half ? CudaValue::kHalf : CudaValue::kFloat; }

CudaImage image_of(std::uintptr_t pointer, std::ptrdiff_t height, std::ptrdiff_t width, int channels,
                   int bits, std::ptrdiff_t row_bytes, std::pair<float, float> levels,
                   const std::optional<std::vector<float>>& warp) {
    CudaImage image{pointer, height, width, channels, bits, row_bytes, levels.first, levels.second, {}};
    if (warp) {
        if (warp->size() != 9) {
            throw std::invalid_argument("warp must be 9 numbers, not " + std::to_string(warp->size()));
        }
        std::copy(warp->begin(), warp->end(), image.warp.emplace().begin());
    }
    require_valid(image, "");
    return image;
}

void bind_devices(py::module_& module) {
    py::class_<CudaDevice>(module, "CudaDevice")
        .def_readonly("name", &CudaDevice::name)
        .def_readonly("major", &CudaDevice::major)
        .def_readonly("minor", &CudaDevice::minor)
        .def_readonly("memory_bytes", &CudaDevice::memory_bytes)
        .def_readonly("integrated", &CudaDevice::integrated);

    module.def("cuda_devices", [] {
        const CudaDevices found = [] {
            const py::gil_scoped_release released;
            return cuda_devices();
        }();
        return py::make_tuple(found.devices, found.problem);
    });
}

void bind_operations(py::module_& module) {
    using Released = py::call_guard<py::gil_scoped_release>;

    py::class_<CudaImage>(module, "CudaImage")
        .def(py::init(&image_of), py::arg("pointer"), py::arg("height"), py::arg("width"),
             py::arg("channels"), py::kw_only(), py::arg("bits") = 8, py::arg("row_bytes") = 0,
             py::arg("levels") = std::pair(0.0f, 255.0f), py::arg("warp") = py::none());

    module.def(
        "cuda_preprocess",
        [](const CudaImage& a, const CudaImage& b, std::uintptr_t out, std::ptrdiff_t height,
           std::ptrdiff_t width, bool half, std::uintptr_t stream) {
            cuda_preprocess(a, b, {out, height, width, value_of(half)}, stream_of(stream));
        },
        py::arg("a"), py::arg("b"), py::arg("out"), py::arg("height"), py::arg("width"), py::kw_only(),
        py::arg("half"), py::arg("stream"), Released());

    py::enum_<CudaRange>(module, "CudaRange")
        .value("image", CudaRange::kImage)
        .value("tracked", CudaRange::kTracked);

    module.def("cuda_range_state_bytes", &cuda_range_state_bytes, py::arg("height"), py::arg("width"));

    module.def(
        "cuda_reset_range",
        [](std::uintptr_t state, std::ptrdiff_t height, std::ptrdiff_t width, std::uintptr_t stream) {
            cuda_reset_range(state, height, width, stream_of(stream));
        },
        py::arg("state"), py::arg("height"), py::arg("width"), py::kw_only(), py::arg("stream"), Released());

    module.def(
        "cuda_update_range",
        [](std::uintptr_t fused, std::ptrdiff_t height, std::ptrdiff_t width, std::uintptr_t state,
           CudaRange policy, bool half, std::uintptr_t stream) {
            cuda_update_range({fused, height, width, value_of(half)}, state, policy, stream_of(stream));
        },
        py::arg("fused"), py::arg("height"), py::arg("width"), py::arg("state"), py::arg("policy"),
        py::kw_only(), py::arg("half"), py::arg("stream"), Released());

    module.def(
        "cuda_postprocess",
        [](std::uintptr_t fused, const CudaImage& a, const CudaImage& b, Chroma chroma, std::uintptr_t state,
           const CudaImage& out, bool half, std::uintptr_t stream) {
            cuda_postprocess({fused, out.height, out.width, value_of(half)}, a, b, chroma, state, out,
                             stream_of(stream));
        },
        py::arg("fused"), py::arg("a"), py::arg("b"), py::arg("chroma"), py::arg("state"), py::arg("out"),
        py::kw_only(), py::arg("half"), py::arg("stream"), Released());
}

void bind_graphs(py::module_& module) {
    using Released = py::call_guard<py::gil_scoped_release>;

    py::class_<CudaGraph>(module, "CudaGraph")
        .def(
            "launch", [](const CudaGraph& graph, std::uintptr_t stream) { graph.launch(stream_of(stream)); },
            py::arg("stream"), Released());

    module.def(
        "cuda_begin_capture", [](std::uintptr_t stream) { CudaGraph::begin_capture(stream_of(stream)); },
        py::arg("stream"), Released());
    module.def(
        "cuda_end_capture", [](std::uintptr_t stream) { return CudaGraph::end_capture(stream_of(stream)); },
        py::arg("stream"), Released());
}

}  // namespace

void bind_cuda(py::module_& module) {
    bind_devices(module);
    bind_operations(module);
    bind_graphs(module);
}

}  // namespace refusion::bindings
