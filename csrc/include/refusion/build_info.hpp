#pragma once

#include <string>
#include <vector>

namespace refusion {

// How this library was compiled.
struct BuildInfo {
    std::string version;            // of the package it was built for
    std::string compiler;           // name and version
    int cpp_standard;               // 17, 20, ...
    std::string cuda;               // version of the CUDA toolkit; empty without CUDA
    std::vector<std::string> simd;  // variants of the inner loops, best first; the loader picks
};

BuildInfo build_info();

}  // namespace refusion
