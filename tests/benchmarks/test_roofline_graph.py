"""Counts by hooks, against counts by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from torch import Tensor, nn

from refusion.benchmarks.gpu.limits import FLOPS_PER_PIXEL, FP16_BYTES_PER_PIXEL
from refusion.benchmarks.roofline_graph import graph_of, network, official_network
from refusion.benchmarks.roofline_passes import least_passes
from refusion.errors import InputError
from refusion.models import Model

SIZE = (96, 64)
PIXELS = SIZE[0] * SIZE[1]
FLOAT = 4


class OneSum(nn.Module):
    """A mean is taken of four maps, which cost more to keep than to compute again from the two sources."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.last = nn.Conv2d(4, 1, 1, bias=False)

    def forward(self, sources: Tensor) -> Tensor:
        maps = self.first(sources)
        return self.last(maps - maps.mean((2, 3), keepdim=True))


class SourcesLast(OneSum):
    """The sources as they are come in at the end again: only the last pass reads them for that."""

    def forward(self, sources: Tensor) -> Tensor:
        fused = super().forward(sources)
        fused = fused - fused.mean((2, 3), keepdim=True)
        fused = fused - fused.square().mean((2, 3), keepdim=True)
        return fused + sources[:, :1] * sources[:, 1:]


class TwoSums(OneSum):
    """Another mean follows: what it is of is one map."""

    def forward(self, sources: Tensor) -> Tensor:
        fused = super().forward(sources)
        return fused - fused.mean((2, 3), keepdim=True)


def on_meta(module: nn.Module) -> nn.Module:
    return module.to("meta")


def transformer_macs(channels: int) -> int:
    """Return the multiplications a pixel of a block, written down from the method's description."""
    attention = channels * 3 * channels + 9 * 3 * channels + channels * channels
    products = 2 * channels * (channels // 8)  # q k^T, and its softmax times v, by head
    feed_forward = channels * 4 * channels + 9 * 4 * channels + 2 * channels * channels
    return attention + products + feed_forward


def test_arithmetic_of_the_full_network_by_hand() -> None:
    ends = 2 * 9 * 16 + 9 * 32 * 16 + 9 * 16
    attention = 16 * 48 + 9 * 48 + 16 * 16 + 2 * 16 * 2
    gate = 32 * 128 + 9 * 128 + 2 * (16 * 64 + 9 * 64 + 64 * 32)
    macs = ends + 4 * transformer_macs(16) + 2 * attention + gate + 2 * transformer_macs(32)
    assert macs == 60_176
    for module in (network(Model.full), official_network()):
        assert graph_of(module, SIZE).flops == 2 * macs * PIXELS
    assert 2 * macs == FLOPS_PER_PIXEL


def test_bytes_of_a_small_network_by_hand() -> None:
    graph = graph_of(on_meta(OneSum()), SIZE)
    weights = 2 * 4 * 9 + 4
    assert graph.flops == 2 * weights * PIXELS
    assert graph.weight_bytes == FLOAT * weights
    # The convolution, the mean, the difference, the convolution; the four means, written and read.
    values = (2 + 4) + 4 + (4 + 4) + (4 + 1)
    assert graph.layer_bytes == FLOAT * (weights + values * PIXELS + 4 + 4)


def test_least_bytes_of_small_networks_by_hand() -> None:
    weights = FLOAT * (2 * 4 * 9 + 4)
    # Both passes read the sources, the second writes the result.
    once = least_passes(graph_of(on_meta(OneSum()), SIZE))
    assert (once.count, once.bytes) == (2, weights + FLOAT * PIXELS * (2 + 2 + 1))
    assert once.handed_on_bytes == (FLOAT * PIXELS * 2,)
    # The second pass writes the one map that the third one reads: no pass may begin anew with the sources.
    twice = least_passes(graph_of(on_meta(TwoSums()), SIZE))
    assert (twice.count, twice.bytes) == (3, weights + FLOAT * PIXELS * (2 + 2 + 1 + 1 + 1))


def test_what_only_the_last_pass_needs_is_not_carried_through_the_others() -> None:
    weights = FLOAT * (2 * 4 * 9 + 4)
    passes = least_passes(graph_of(on_meta(SourcesLast()), SIZE))
    # As with two sums, one map handed on once more, and the sources for the result.
    assert passes.count == 4
    assert passes.bytes == weights + FLOAT * PIXELS * (2 + 2 + 1 + 1 + 1 + 1 + 2 + 1)


def test_least_bytes_of_the_full_network_by_hand() -> None:
    """Each of the five attentions sums over the picture: two encoder blocks, the joint, two decoder blocks.

    The first two passes read both sources; each pass from the second on hands on 32 maps, 16 a source; the
    last one writes the result. Sources and result are float32.
    """
    for precision, maps in (("float32", FLOAT), ("float16", 2)):
        graph = graph_of(network(Model.full, precision), SIZE)
        passes = least_passes(graph)
        a_pixel = 2 * (2 * FLOAT) + 4 * (32 * maps + 32 * maps) + FLOAT
        assert passes.count == 6
        assert passes.bytes == graph.weight_bytes + a_pixel * PIXELS
    assert a_pixel == FP16_BYTES_PER_PIXEL["chained"]
    assert graph.layer_bytes / PIXELS == pytest.approx(FP16_BYTES_PER_PIXEL["unfused"], rel=0.1)


def test_the_official_form_sums_twice_as_often() -> None:
    """It divides queries and keys by their lengths before it multiplies them."""
    assert least_passes(graph_of(official_network(), SIZE)).count == 11


def test_the_lite_network_is_counted_too() -> None:
    # Larger than for the full one, which it runs on a smaller picture.
    graph = graph_of(network(Model.lite), (640, 480))
    full = graph_of(network(Model.full), (640, 480))
    assert 0 < graph.flops < full.flops / 10
    passes = least_passes(graph)
    sources_and_result = FLOAT * 640 * 480 * (2 + 1)
    assert sources_and_result < passes.bytes < graph.layer_bytes


def test_pictures_that_are_too_small_to_tell_maps_are_refused() -> None:
    with pytest.raises(InputError, match="other operations at 64x48 than at larger sizes"):
        graph_of(network(Model.full), (64, 48))
