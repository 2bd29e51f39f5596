#include "refusion/build_info.hpp"

namespace refusion {
namespace {

std::vector<std::string> simd_variants() {
#if defined(REFUSION_TARGET_CLONES)
    return {REFUSION_TARGET_CLONES};
#elif defined(__ARM_NEON) || defined(_M_ARM64)
    return {"neon"};
#else
    return {"default"};
#endif
}

std::string compiler() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#elif defined(_MSC_VER)
    return "MSVC " + std::to_string(_MSC_VER);
#else
    return "unknown";
#endif
}

int cpp_standard() {
#if defined(_MSVC_LANG)
    return _MSVC_LANG / 100 % 100;
#else
    return __cplusplus / 100 % 100;
#endif
}

std::string cuda_version() {
#if defined(REFUSION_CUDA_VERSION)
    return REFUSION_CUDA_VERSION;
#else
    return {};
#endif
}

}  // namespace

BuildInfo build_info() {
    return {REFUSION_VERSION, compiler(), cpp_standard(), cuda_version(), simd_variants()};
}

}  // namespace refusion
