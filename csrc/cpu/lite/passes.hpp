#pragma once

#include "kernels.hpp"
#include "weights.hpp"
#include "workspace.hpp"

// The passes over a pair, each for some of its rows. What a row becomes does not depend on which rows are
// made together.
namespace refusion::lite {

struct Network {
    const Weights& weights;
    const Kernels& kernels;
};

// From pixels to rows of cells of the first map: stem, middle and bottom in one go, keeping only recent rows
// of the larger maps.
void make_cells(const Network& network, const Planes& planes, Workspace& space, Slot& slot,
                std::ptrdiff_t begin, std::ptrdiff_t end);

// What the whole picture says, from the sums over the rows of cells.
void adapt_to_picture(const Network& network, Workspace& space);

// A block for a row of cells, from one map to the other; the last block makes the grid as well.
void make_block(const Network& network, std::size_t block, Workspace& space, std::ptrdiff_t row);

// The guided step for rows of pixels.
void make_pixels(const Network& network, const Planes& planes, const Workspace& space, Slot& slot,
                 std::ptrdiff_t begin, std::ptrdiff_t end, float* fused);

}  // namespace refusion::lite
