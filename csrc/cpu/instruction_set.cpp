#include "instruction_set.hpp"

#include <algorithm>
#include <stdexcept>

namespace refusion {

std::vector<InstructionSet> instruction_sets() {
    std::vector<InstructionSet> usable;
#if defined(__x86_64__)
    // GCC's and Clang's test asks the system too, which has to save the wider registers.
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("fma")) {
        usable.push_back(InstructionSet::kAvx512);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        usable.push_back(InstructionSet::kAvx2);
    }
#endif
    usable.push_back(InstructionSet::kBaseline);
    return usable;
}

bool has_bfloat16() {
#if defined(REFUSION_BFLOAT16)
    return instruction_sets().front() == InstructionSet::kAvx512 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

std::string name_of(InstructionSet instruction_set) {
    switch (instruction_set) {
        case InstructionSet::kAvx512:
            return "avx512";
        case InstructionSet::kAvx512Bf16:
            return "avx512_bf16";
        case InstructionSet::kAvx2:
            return "avx2";
        case InstructionSet::kBaseline:
            break;
    }
#if defined(__aarch64__)
    return "neon";
#else
    return "baseline";
#endif
}

InstructionSet instruction_set_named(const std::string& name) {
    std::vector<InstructionSet> usable = instruction_sets();
    if (name.empty()) {
        return usable.front();
    }
    if (has_bfloat16()) {
        usable.push_back(InstructionSet::kAvx512Bf16);
    }
    const auto found = std::find_if(usable.begin(), usable.end(),
                                    [&](InstructionSet candidate) { return name_of(candidate) == name; });
    if (found != usable.end()) {
        return *found;
    }
    std::string known;
    for (const InstructionSet candidate : usable) {
        known += (known.empty() ? "" : ", ") + name_of(candidate);
    }
    throw std::invalid_argument("this machine has no instruction set '" + name + "'; it has " + known);
}

}  // namespace refusion
