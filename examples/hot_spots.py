"""Mark what is hot in the fused picture: the infrared view in its geometry comes with every frame.

python examples/hot_spots.py --ir ir.mp4 --visible visible.mp4 -o marked.mp4

Without sources it runs on the built-in synthetic scene.
"""

from __future__ import annotations

import argparse

import cv2

import refusion
from refusion.stream.video import VideoWriter

SCENE = "synthetic:?width=320&height=240&frames=20"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ir", default=SCENE)
    parser.add_argument("--visible", default=SCENE)
    parser.add_argument("-o", "--output", default="marked.mp4")
    parser.add_argument("--level", type=int, default=200, help="gray level of infrared that counts as hot")
    options = parser.parse_args()

    writer = None
    with refusion.open_stream(ir=options.ir, visible=options.visible) as stream:
        for frame in stream:
            infrared = frame.aligned_infrared
            if frame.fused is None or infrared is None:
                continue
            picture = frame.fused if frame.fused.ndim == 3 else cv2.cvtColor(frame.fused, cv2.COLOR_GRAY2BGR)
            hot = cv2.threshold(infrared, options.level, 255, cv2.THRESH_BINARY)[1]
            outlines, _ = cv2.findContours(hot, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            for outline in outlines:
                if cv2.contourArea(outline) > 20:
                    x, y, width, height = cv2.boundingRect(outline)
                    cv2.rectangle(picture, (x, y), (x + width, y + height), (0, 140, 255), 1)
            if writer is None:
                size = picture.shape[1], picture.shape[0]
                writer = VideoWriter(options.output, rate=stream.rate_hz, size=size, force=True)
            writer.write(picture)
    if writer is not None:
        writer.close()
        print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
