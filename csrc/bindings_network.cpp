// The networks that the module computes itself; use refusion.backends.native.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "cpu/instruction_set.hpp"
#include "refusion/fusion_network.hpp"
#include "refusion/lite_network.hpp"

namespace py = pybind11;
namespace arrays = refusion::arrays;

namespace refusion::bindings {
namespace {

using Array = py::array_t<float, py::array::c_style>;

// By their names; the arrays must outlive the result.
Tensors tensors_of(const std::map<std::string, Array>& arrays) {
    Tensors tensors;
    for (const auto& [name, array] : arrays) {
        tensors[name] = {array.data(), {array.shape(), array.shape() + array.ndim()}};
    }
    return tensors;
}

// float32 (N, 2, H, W) to (N, 1, H, W).
template <class Network>
Array run(Network& network, const Array& sources) {
    if (sources.ndim() != 4 || sources.shape(1) != 2 || sources.size() == 0) {
        arrays::refuse("sources", "(N, 2, H, W)", "of shape " + arrays::shape_text(sources));
    }
    Array fused(std::vector<py::ssize_t>{sources.shape(0), 1, sources.shape(2), sources.shape(3)});
    float* const out = fused.mutable_data();
    const py::gil_scoped_release released;
    network.run(sources.data(), sources.shape(0), sources.shape(2), sources.shape(3), out);
    return fused;
}

template <class Network>
void bind(py::module_& module, const char* name) {
    py::class_<Network>(module, name)
        .def(py::init([](const std::map<std::string, Array>& arrays, const std::string& instruction_set,
                         int threads) {
                 return std::make_unique<Network>(tensors_of(arrays), instruction_set, threads);
             }),
             py::arg("tensors"), py::kw_only(), py::arg("instruction_set") = "", py::arg("threads") = 0)
        .def("run", &run<Network>, py::arg("sources"))
        .def_property_readonly("instruction_set", &Network::instruction_set);
}

}  // namespace

void bind_network(py::module_& module) {
    module.def("has_bfloat16", &has_bfloat16);
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const InstructionSet instruction_set : instruction_sets()) {
            names.push_back(name_of(instruction_set));
        }
        return names;
    });

    bind<FusionNetwork>(module, "FusionNetwork");
    bind<LiteNetwork>(module, "LiteNetwork");
}

}  // namespace refusion::bindings
