#pragma once

#include <cstddef>

#include "refusion/portable.hpp"

// Which thread takes which part of an image.
namespace refusion::cuda {

constexpr int kThreads = 256;  // of a block
constexpr int kNarrowTile = 32;

// Columns (pixels, or pieces of several) and rows, cut into tiles of a block each. A tile is one row high
// where the image is (rows without gaps are one long row), else 32 columns wide, so that warped reads stay
// close.
struct Tiling {
    int columns = 0;
    int rows = 0;
    int tile_columns = kThreads;
    int tiles_across = 0;
    int blocks = 0;

    static Tiling of(std::ptrdiff_t columns, std::ptrdiff_t rows) {
        Tiling tiling;
        tiling.columns = static_cast<int>(columns);
        tiling.rows = static_cast<int>(rows);
        tiling.tile_columns = rows == 1 ? kThreads : kNarrowTile;
        const int tile_rows = kThreads / tiling.tile_columns;
        tiling.tiles_across = (tiling.columns + tiling.tile_columns - 1) / tiling.tile_columns;
        tiling.blocks = tiling.tiles_across * ((tiling.rows + tile_rows - 1) / tile_rows);
        return tiling;
    }
};

struct Cell {
    int column;
    int row;
    bool is_inside;
};

REFUSION_INLINE Cell cell_of(const Tiling& tiling, int block, int thread) {
    const int tile_row = block / tiling.tiles_across, tile_column = block - tile_row * tiling.tiles_across;
    const bool narrow = tiling.tile_columns == kNarrowTile;
    const int column_in_tile = narrow ? thread % kNarrowTile : thread;
    const int row_in_tile = narrow ? thread / kNarrowTile : 0;
    const int column = tile_column * tiling.tile_columns + column_in_tile;
    const int row = narrow ? tile_row * (kThreads / kNarrowTile) + row_in_tile : tile_row;
    return {column, row, column < tiling.columns && row < tiling.rows};
}

}  // namespace refusion::cuda
