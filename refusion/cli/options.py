"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

TaskOption = Annotated[
    str, typer.Option("--task", help="ivif, mif, mfif or meif.", metavar="TASK", show_default=True)
]
ModelOption = Annotated[
    Optional[str],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
    typer.Option(
        "--model",
        metavar="full|lite",
        help="lite is made for real time on a CPU; default: full, or what the given weights hold.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace outputs that are there already.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads of the network; 0 takes all cores.")]
JsonOption = Annotated[Optional[Path], typer.Option("--json", help="Write the result as JSON, too.")]  # noqa: UP045
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, or cuda: the GPU or not at all.")]
EnginesOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Folder of TensorRT engines; default: $REFUSION_ENGINES, else ./engines."),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Load engines that others built, too: they are machine code.")
]
BackendOption = Annotated[
    str, typer.Option(help="auto, native, native-bf16, onnxruntime, tensorrt, torch or triton.")
]
TritonUrlOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="HOST:PORT", help="With --backend triton: the server's gRPC address; /MODEL may follow."
    ),
]
InfraredOption = Annotated[
    str,
    typer.Option(
        "--ir",
        metavar="SRC",
        help="Infrared: a folder, a video, a camera (0, /dev/video0), rtsp:// http:// udp://, "
        "gst:PIPELINE, or synthetic: for both.",
    ),
]
VisibleOption = Annotated[str, typer.Option("--visible", metavar="SRC", help="Visible: likewise.")]
InfraredRateOption = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--ir-rate-hz", min=0.01, help="Rate of an infrared folder, or asked of a camera."),
]
VisibleRateOption = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(min=0.01, help="Rate of a visible folder, or asked of a camera."),
]
