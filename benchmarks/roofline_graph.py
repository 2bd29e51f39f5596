"""What a network computes on a frame: every operation with its operands, found by hooks, and its FLOPs.

Nothing is computed: tensors are on PyTorch's "meta" device, which knows shapes and types alone. A hook on the
dispatcher (TorchDispatchMode) sees every operation, also those between modules, which hooks on modules miss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from refusion.benchmarks.official import official_form
from refusion.errors import InputError
from refusion.models import Model
from refusion.models.fusion import FusionModule
from refusion.models.lite import LiteModule

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""Of convolutions and the maps between them; norms, sums over the picture, input and output stay float32."""


@dataclass(frozen=True)
class Node:
    """A tensor: the input, or what one operation gave."""

    bytes: int
    is_map: bool
    """Whether its size grows with the picture: weights, means and attention's matrices do not."""
    operands: tuple[int, ...] = ()
    """Numbers of the tensors that it was computed from; weights are not among them."""


@dataclass(frozen=True)
class Graph:
    """All tensors of one frame, in the order in which they were made; the first is the input."""

    nodes: list[Node]
    output: int
    """Number of the tensor that is the result."""
    flops: int
    """Of convolutions and matrix products, two for each multiplication and addition; nothing else counts."""
    weight_bytes: int
    layer_bytes: int
    """That cross memory where each operation reads its operands from there and writes its results to it."""


def network(model: Model, precision: str = "float32") -> nn.Module:
    """Return a network without values, as PyTorch runs it in a precision."""
    with torch.device("meta"):
        module: nn.Module = {Model.full: FusionModule, Model.lite: LiteModule}[model]()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(PRECISIONS[precision])
    return module.eval()


def official_network() -> nn.Module:
    """Return the full network in the form of the official script, without values."""
    full = network(Model.full)
    assert isinstance(full, FusionModule)
    return official_form(full)


def graph_of(module: nn.Module, size: tuple[int, int]) -> Graph:
    """Return what a network without values computes on one frame.

    Args:
        module: On the meta device; (1, 2, H, W) float32 to (1, 1, H, W).
        size: Width and height.

    Raises:
        InputError: The size is so small that larger ones are computed in another way.
    """
    width, height = size
    # Which tensors are maps shows at a second size: the same operations, other shapes.
    found, wider = _traced(module, height, width), _traced(module, height, 2 * width)
    if len(found.nodes) != len(wider.nodes):
        raise InputError(
            f"the network runs other operations at {width}x{height} than at larger sizes: count it at 640x480"
        )
    nodes = [
        replace(node, is_map=node.bytes != other.bytes)
        for node, other in zip(found.nodes, wider.nodes, strict=True)
    ]
    return replace(found, nodes=nodes)


def _traced(module: nn.Module, height: int, width: int) -> Graph:
    sources = torch.empty(1, 2, height, width, device="meta")
    weights = [*module.parameters(), *module.buffers()]
    recorder = _Recorder(sources)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter, recorder:
        fused = module(sources)
    weight_bytes = sum(weight.nbytes for weight in weights)
    return Graph(
        recorder.nodes,
        recorder.number(fused),
        counter.get_total_flops(),
        weight_bytes,
        weight_bytes + recorder.traffic_bytes,
    )


class _Recorder(TorchDispatchMode):
    def __init__(self, sources: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no annotations
        self.nodes = [Node(sources.nbytes, is_map=True)]
        self.traffic_bytes = 0
        self._numbers = {id(sources): 0}
        # Numbers are kept by the identity of tensors, which must not be given to others meanwhile.
        self._alive = [sources]

    def number(self, tensor: Tensor) -> int:
        """Return which tensor that is."""
        return self._numbers[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operands = tuple(dict.fromkeys(self._known((args, kwargs))))
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if not func.is_view and func is not torch.ops.aten._unsafe_view.default:
            self.traffic_bytes += sum(self.nodes[operand].bytes for operand in operands)
            self.traffic_bytes += sum(tensor.nbytes for tensor in results)
        for tensor in results:
            self._numbers[id(tensor)] = len(self.nodes)
            self._alive.append(tensor)
            self.nodes.append(Node(tensor.nbytes, is_map=True, operands=operands))
        return result

    def _known(self, values: Any) -> Iterator[int]:
        for value in tree_leaves(values):
            if isinstance(value, Tensor) and id(value) in self._numbers:
                yield self._numbers[id(value)]
