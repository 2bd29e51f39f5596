"""Fuse two live cameras, look at each frame, and keep a recording.

python examples/live_cameras.py --ir rtsp://camera/thermal --visible 0 --calibration calibration.yaml

Without addresses it runs on the built-in synthetic scene.
"""

from __future__ import annotations

import argparse

import refusion

SCENE = "synthetic:?width=320&height=240&frames=20"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ir", default=SCENE)
    parser.add_argument("--visible", default=SCENE)
    parser.add_argument("--calibration", help="file of refusion calibrate")
    parser.add_argument("--out", help="NAME.mp4")
    options = parser.parse_args()

    with refusion.open_stream(
        ir=options.ir, visible=options.visible, calibration=options.calibration, out=options.out, force=True
    ) as stream:
        for frame in stream:
            if frame.fused is None:
                infrared, visible = (state.value for state in frame.states)
                print(f"{frame.index}: one camera alone (infrared {infrared}, visible {visible})")
            else:
                print(f"{frame.index}: fused {frame.fused.shape}, mean {frame.fused.mean():.1f}")
        status = stream.status()
    print(f"{status.frames} frames fused, {status.rate_hz:.1f} a second")


if __name__ == "__main__":
    main()
