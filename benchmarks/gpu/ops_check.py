"""Whether the CUDA operations equal the CPU's, on random images of random sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from refusion import ops
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma

ROUNDS = 40
FRAMES = 12
"""Of a stream whose range is followed."""


class Difference(NamedTuple):
    """The greatest difference of one operation, in gray levels."""

    operation: str
    levels: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether it is within the limit."""
        return self.levels <= self.limit


def _on_device(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array).cuda()


def _image(native: Any, tensor: Any) -> Any:
    height, width = tensor.shape[:2]
    return native.CudaImage(tensor.data_ptr(), height, width, 1 if tensor.ndim == 2 else 3)


def _sizes(random: np.random.Generator) -> Iterator[tuple[int, int]]:
    yield from ((1, 1), (480, 640), (481, 641), (1080, 1920))
    for _ in range(ROUNDS):
        yield int(random.integers(1, 700)), int(random.integers(1, 900))


def differences(native: Any) -> list[Difference]:
    """Compare every operation in FP32 and FP16 with `refusion.ops`."""
    random = np.random.default_rng(0)
    worst: dict[str, float] = {}
    for size in _sizes(random):
        gray = random.integers(0, 256, size, np.uint8)
        colour, other = random.integers(0, 256, (2, *size, 3), np.uint8)
        fused = random.uniform(-0.05, 1.05, size).astype(np.float32)
        for name, levels in (
            *_pre(native, gray, colour),
            *_post(native, fused, gray, colour, Chroma.B),
            *_post(native, fused, colour, other, Chroma.BOTH),
            *_post(native, fused, gray, gray, Chroma.NONE),
        ):
            worst[name] = max(worst.get(name, 0.0), levels)
    for policy in (RangePolicy.image, RangePolicy.tracked):
        worst[f"range, {policy.name}"] = _range(native, policy, random)
    return [Difference(name, levels, 1.0) for name, levels in worst.items()]


def _pre(native: Any, gray: np.ndarray, colour: np.ndarray) -> Iterator[tuple[str, float]]:
    import torch

    expected = ops.preprocess(gray, colour)
    a, b = _on_device(gray), _on_device(colour)
    for half, name in ((False, "pre, FP32"), (True, "pre, FP16")):
        out = torch.empty((2, *gray.shape), dtype=torch.float16 if half else torch.float32, device="cuda")
        images = (_image(native, a), _image(native, b))
        native.cuda_preprocess(*images, out.data_ptr(), *gray.shape, half=half, stream=0)
        yield name, float(np.abs(out.float().cpu().numpy() - expected).max()) * 255


def _post(
    native: Any, fused: np.ndarray, a: np.ndarray, b: np.ndarray, chroma: Chroma
) -> Iterator[tuple[str, float]]:
    import torch

    sources = _on_device(a), _on_device(b)
    for half in (False, True):
        values = fused.astype(np.float16 if half else np.float32)
        expected = ops.postprocess(values.astype(np.float32), a, b, chroma=chroma)
        plane = _on_device(values)
        out = torch.empty(expected.shape, dtype=torch.uint8, device="cuda")
        native.cuda_postprocess(
            plane.data_ptr(),
            *(_image(native, source) for source in sources),
            getattr(native.Chroma, chroma.name),
            0,
            _image(native, out),
            half=half,
            stream=0,
        )
        difference = np.abs(out.cpu().numpy().astype(int) - expected)
        yield f"post, chroma {chroma.name.lower()}, {'FP16' if half else 'FP32'}", float(difference.max())


def _range(native: Any, policy: RangePolicy, random: np.random.Generator) -> float:
    """Return the greatest difference between pictures stretched by the device's range and by the CPU's."""
    import torch

    size = (311, 405)
    follower = OutputRange(policy)
    state = torch.zeros(native.cuda_range_state_bytes(*size), dtype=torch.uint8, device="cuda")
    native.cuda_reset_range(state.data_ptr(), *size, stream=0)
    out = torch.empty(size, dtype=torch.uint8, device="cuda")
    worst = 0.0
    for number in range(FRAMES):
        offset = 0.4 if number == FRAMES // 2 else 0.01 * number  # one scene cut
        fused = random.uniform(0.1, 0.5, size).astype(np.float32) + np.float32(offset)
        plane = _on_device(fused)
        chosen = getattr(native.CudaRange, policy.name)
        native.cuda_update_range(plane.data_ptr(), *size, state.data_ptr(), chosen, half=False, stream=0)
        image = _image(native, out)
        pointers = (state.data_ptr(), image)
        native.cuda_postprocess(
            plane.data_ptr(), image, image, native.Chroma.NONE, *pointers, half=False, stream=0
        )
        gray = np.zeros(size, np.uint8)
        expected = ops.postprocess(
            fused,
            gray,
            gray,
            chroma=Chroma.NONE,
            value_range=follower.of(fused),
            shoulder=follower.shoulder,
        )
        worst = max(worst, float(np.abs(out.cpu().numpy().astype(int) - expected).max()))
    return worst
