#pragma once

#include "layers.hpp"
#include "scratch.hpp"

namespace refusion {

// One row of pixels through the norm and the 1x1 convolutions of a projection. `normalised` takes a row.
inline void project_row(const Projected& projected, const float* in, float* normalised, float* out,
                        std::ptrdiff_t pixels) {
    if (projected.normalise != nullptr) {
        projected.normalise(in, normalised, pixels);
        in = normalised;
    }
    for (const Part& part : projected.parts) {
        part.kernel->run(in + part.in_offset, part.weights.data(), part.bias.data(), 0, out + part.out_offset,
                         projected.channels, pixels);
    }
}

}  // namespace refusion
