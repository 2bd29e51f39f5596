#pragma once

#include <string>
#include <vector>

namespace refusion {

// Builds of the network's kernels; see cmake/kernels.cmake. kBaseline is SSE2 on x86-64 and NEON on Arm.
enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

// Those that this processor and system can run, best first; kBaseline is always among them.
std::vector<InstructionSet> instruction_sets();

// "avx512", "avx2", and "baseline" or "neon".
std::string name_of(InstructionSet instruction_set);

// The one of that name; the best one for an empty name. Throws std::invalid_argument if this machine has none
// such.
InstructionSet instruction_set_named(const std::string& name);

}  // namespace refusion
