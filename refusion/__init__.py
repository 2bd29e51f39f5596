"""ReFusion: fuse two registered views of a scene into one image that keeps what matters of both.

The method is ReFusion (Bai et al., IJCV 2024): the fusion loss itself is learned, by meta-learning, from
how well the sources can be reconstructed from the fused image.
"""

from refusion._checkout import require_installed

require_installed()

from refusion.errors import (  # noqa: E402  (the check above must come first)
    BackendError,
    InputError,
    OutputError,
    RefusionError,
    UsageError,
    WeightsError,
)
from refusion.frames import FramePair  # noqa: E402
from refusion.fuser import Fuser  # noqa: E402
from refusion.stream.opening import open_stream  # noqa: E402
from refusion.tasks import Chroma, Task  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "Chroma",
    "FramePair",
    "Fuser",
    "InputError",
    "OutputError",
    "RefusionError",
    "Task",
    "UsageError",
    "WeightsError",
    "open_stream",
]
