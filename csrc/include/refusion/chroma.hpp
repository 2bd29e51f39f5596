#pragma once

namespace refusion {

// Where the colour of the result comes from.
enum class Chroma { kNone, kA, kB, kBoth };

}  // namespace refusion
