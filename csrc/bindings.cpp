// The Python module refusion._C. It only joins: checks are in arrays.hpp, the work in cpu/ and cuda/.
#include "bindings.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include "arrays.hpp"
#include "refusion/build_info.hpp"
#include "refusion/postprocess.hpp"
#include "refusion/preprocess.hpp"
#include "refusion/statistics.hpp"
#include "refusion/thread_pool.hpp"
#include "refusion/warp.hpp"

namespace py = pybind11;
namespace arrays = refusion::arrays;

PYBIND11_MODULE(_C, module) {
    module.doc() = "Native pre- and post-processing; use refusion.ops.";

    py::enum_<refusion::Chroma>(module, "Chroma")
        .value("NONE", refusion::Chroma::kNone)
        .value("A", refusion::Chroma::kA)
        .value("B", refusion::Chroma::kB)
        .value("BOTH", refusion::Chroma::kBoth);

    module.def(
        "preprocess",
        [](const py::array& a, const py::array& b, py::array out, const std::optional<py::array>& nodes) {
            const auto image_a = arrays::frame(a, "a"), image_b = arrays::frame(b, "b");
            const auto planes = arrays::two_planes_out(out, "out");
            const auto warp = nodes ? arrays::warp(*nodes) : refusion::Warp{};
            const py::gil_scoped_release released;
            if (nodes) {
                refusion::preprocess(image_a, warp, image_b, planes);
            } else {
                refusion::preprocess(image_a, image_b, planes);
            }
        },
        py::arg("a"), py::arg("b"), py::arg("out"), py::arg("nodes") = py::none());

    module.def(
        "warp_image",
        [](const py::array& image, const py::array& nodes, py::array out) {
            const auto source = arrays::frame(image, "image");
            const auto warp = arrays::warp(nodes);
            const auto picture = arrays::frame_out(out, "out");
            const py::gil_scoped_release released;
            refusion::warp_image(source, warp, picture);
        },
        py::arg("image"), py::arg("nodes"), py::arg("out"));

    module.def(
        "postprocess",
        [](const py::array& fused, const py::array& a, const py::array& b, refusion::Chroma chroma, float low,
           float high, py::array out, float shoulder) {
            const auto plane = arrays::plane(fused, "fused");
            const auto image_a = arrays::frame(a, "a"), image_b = arrays::frame(b, "b");
            const auto picture = arrays::frame_out(out, "out");
            const py::gil_scoped_release released;
            refusion::postprocess(plane, image_a, image_b, chroma, low, high, picture, shoulder);
        },
        py::arg("fused"), py::arg("a"), py::arg("b"), py::arg("chroma"), py::arg("low"), py::arg("high"),
        py::arg("out"), py::arg("shoulder") = 0.0f);

    module.def(
        "value_range",
        [](const py::array& fused) {
            const auto plane = arrays::plane(fused, "fused");
            const py::gil_scoped_release released;
            return refusion::value_range(plane);
        },
        py::arg("fused"));

    module.def(
        "is_gray",
        [](const py::array& image) {
            const auto frame = arrays::frame(image, "image");
            const py::gil_scoped_release released;
            return refusion::is_gray(frame);
        },
        py::arg("image"));

    module.def("thread_count", &refusion::thread_count);
    module.def("set_thread_count", &refusion::set_thread_count, py::arg("count"));

    module.def("build_info", [] {
        const refusion::BuildInfo info = refusion::build_info();
        py::dict result;
        result["version"] = info.version;
        result["compiler"] = info.compiler;
        result["cpp_standard"] = info.cpp_standard;
        result["cuda"] = info.cuda;
        result["simd"] = info.simd;
        return result;
    });

    refusion::bindings::bind_cuda(module);
#if defined(REFUSION_NETWORKS)
    refusion::bindings::bind_network(module);
#endif
}
