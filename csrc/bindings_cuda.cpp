// The CUDA part of refusion._C: device addresses and streams are integers, as other libraries give them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <utility>

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
                   int bits, std::ptrdiff_t row_bytes, std::pair<float, float> levels) {
    CudaImage image{pointer, height, width, channels, bits, row_bytes, levels.first, levels.second};
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
             py::arg("levels") = std::pair(0.0f, 255.0f));

    py::class_<CudaWarp>(module, "CudaWarp")
        .def(py::init([](std::uintptr_t nodes, const std::array<float, 4>& box) {
                 return CudaWarp{nodes, {box[0], box[1], box[2], box[3]}};
             }),
             py::arg("nodes"), py::arg("box"));

    module.def(
        "cuda_preprocess",
        [](const CudaImage& a, const CudaImage& b, std::uintptr_t out, std::ptrdiff_t height,
           std::ptrdiff_t width, bool half, std::uintptr_t stream, const std::optional<CudaWarp>& warp) {
            const CudaPlane planes{out, height, width, value_of(half)};
            if (warp) {
                cuda_preprocess(a, *warp, b, planes, stream_of(stream));
            } else {
                cuda_preprocess(a, b, planes, stream_of(stream));
            }
        },
        py::arg("a"), py::arg("b"), py::arg("out"), py::arg("height"), py::arg("width"), py::kw_only(),
        py::arg("half"), py::arg("stream"), py::arg("warp") = py::none(), Released());

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
