#pragma once

#include <pybind11/pybind11.h>

namespace refusion::bindings {

void bind_cuda(pybind11::module_& module);
void bind_network(pybind11::module_& module);

}  // namespace refusion::bindings
