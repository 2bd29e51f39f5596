#pragma once

#include <string>
#include <vector>

namespace refusion {

// Builds of the network's kernels; see cmake/kernels.cmake. kBaseline is SSE2 on x86-64 and NEON on Arm.
// kAvx512Bf16 multiplies in bfloat16, and so gives less exact results: it is never chosen unasked.
enum class InstructionSet { kBaseline, kAvx2, kAvx512, kAvx512Bf16 };

// Those that this processor and system can run in float32, best first; kBaseline is always among them.
std::vector<InstructionSet> instruction_sets();

// Whether this processor and system can run kAvx512Bf16, and the compiler could build it.
bool has_bfloat16();

// "avx512", "avx512_bf16", "avx2", and "baseline" or "neon".
std::string name_of(InstructionSet instruction_set);

// The one of that name; the best one for an empty name. Throws std::invalid_argument if this machine has none
// such.
InstructionSet instruction_set_named(const std::string& name);

}  // namespace refusion
