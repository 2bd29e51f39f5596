r"""Lays results of several methods beside their sources, for the eye.

    python docs/scripts/make_comparison_sheet.py --a DIR --b DIR --names NAME ... \
        --columns "official=DIR" "ours=DIR" -o SHEET.png

Every folder holds the pair's images under the same name. A name may end in @X,Y,SIDE: that square is cut out,
in pixels, to look at details.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from refusion.errors import InputError
from refusion.files import IMAGE_SUFFIXES, read_image, write_image
from refusion.frames import Frame
from refusion.stream.views import contact_sheet


def cell(folder: Path, name: str) -> Frame:
    """Return the image `name` of a folder, cut to its square where the name has one."""
    stem, _, square = name.partition("@")
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.stem == stem and path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise InputError(f"{folder} has no image {stem}")
    image = read_image(found[0])
    if square:
        left, top, side = (int(number) for number in square.split(","))
        image = np.ascontiguousarray(image[top : top + side, left : left + side])
    return image


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--a", type=Path, required=True)
    parser.add_argument("--b", type=Path, required=True)
    parser.add_argument("--labels", nargs=2, default=["source a", "source b"])
    parser.add_argument("--names", nargs="+", required=True)
    parser.add_argument("--columns", nargs="+", required=True, metavar="LABEL=DIR")
    parser.add_argument("--width", type=int, default=240, help="pixels a column")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    columns = {label: Path(folder) for label, _, folder in (item.partition("=") for item in options.columns)}
    folders = [options.a, options.b, *columns.values()]
    rows = [[cell(folder, name) for folder in folders] for name in options.names]
    sheet = contact_sheet(rows, [*options.labels, *columns], tile_width_px=options.width)
    write_image(options.output, sheet, force=True)


if __name__ == "__main__":
    main()
