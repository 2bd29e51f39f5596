"""Whether the CUDA operations equal the CPU's, on random images of random sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from refusion import ops
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.warp import Warp

ROUNDS = 40
INFRARED_SIZE = (160, 120)
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
        infrared = random.integers(0, 256, INFRARED_SIZE[::-1], np.uint8)
        fused = random.uniform(-0.05, 1.05, size).astype(np.float32)
        for name, levels in (
            *_pre(native, gray, colour, None),
            *_pre(native, infrared, colour, _registration(size, random)),
            *_post(native, fused, gray, colour, Chroma.B),
            *_post(native, fused, colour, other, Chroma.BOTH),
            *_post(native, fused, gray, gray, Chroma.NONE),
        ):
            worst[name] = max(worst.get(name, 0.0), levels)
    for policy in (RangePolicy.image, RangePolicy.tracked):
        worst[f"range, {policy.name}"] = _range(native, policy, random)
    return [Difference(name, levels, 1.0) for name, levels in worst.items()]


def _registration(size: tuple[int, int], random: np.random.Generator) -> Warp:
    """Return a warp to infrared as of two cameras side by side."""
    height, width = size
    matrix = np.diag([INFRARED_SIZE[0] / width, INFRARED_SIZE[1] / height, 1.0])
    matrix[:2, :2] += random.normal(0, 0.02, (2, 2))
    matrix[:2, 2] = random.uniform(-20, 20, 2)
    return Warp.of_homography(matrix, size=(width, height), source_size=INFRARED_SIZE)


def _pre(native: Any, a: np.ndarray, b: np.ndarray, warp: Warp | None) -> Iterator[tuple[str, float]]:
    import torch

    size = b.shape[:2]
    expected = ops.preprocess(a, b, warp=warp)
    sources = _on_device(a), _on_device(b)
    through = None
    if warp is not None:
        nodes = torch.tensor(warp.nodes, device="cuda")
        through = native.CudaWarp(nodes.data_ptr(), warp.fade_box)
    for half in (False, True):
        out = torch.empty((2, *size), dtype=torch.float16 if half else torch.float32, device="cuda")
        images = (_image(native, source) for source in sources)
        native.cuda_preprocess(*images, out.data_ptr(), *size, half=half, stream=0, warp=through)
        name = f"pre{', warped' if warp is not None else ''}, {'FP16' if half else 'FP32'}"
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
