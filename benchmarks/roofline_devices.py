"""What makers say that their devices do at best: what predictions are computed from, none of it measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A GPU by its data sheet; no sparsity."""

    name: str
    memory_bytes_per_s: float
    float16_flops_per_s: float
    """Of the tensor cores, with float32 sums."""
    float32_flops_per_s: float
    """Of the other cores, without TF32."""
    source: str


DEVICES = (
    Device(
        "Jetson Orin Nano 8GB, 15 W",
        68e9,
        10e12,
        1.28e12,
        "NVIDIA Jetson Orin Nano series data sheet DS-11105: 40 INT8 TOPS with sparsity, a quarter of it in "
        "dense FP16; 1,024 CUDA cores at 625 MHz",
    ),
    Device(
        "Jetson Orin Nano 8GB, Super mode",
        102e9,
        16.75e12,
        2.09e12,
        "NVIDIA Jetson Orin Nano Super developer kit data sheet: 67 INT8 TOPS with sparsity, a quarter of it "
        "in dense FP16; 1,024 CUDA cores at 1,020 MHz",
    ),
    Device(
        "Jetson AGX Orin 64GB",
        204.8e9,
        42.5e12,
        5.3e12,
        "NVIDIA Jetson AGX Orin series technical brief v1.2: GPU 170 INT8 TOPS with sparsity, a quarter of "
        "it in dense FP16; 5.3 FP32 TFLOPS",
    ),
    Device(
        "GeForce RTX 4090",
        1008e9,
        165.2e12,
        82.6e12,
        "NVIDIA Ada GPU architecture white paper v2.01, appendix A: FP16 with FP32 accumulation",
    ),
    Device(
        "H200 SXM",
        4.8e12,
        989.5e12,
        67e12,
        "NVIDIA H200 Tensor Core GPU data sheet: 1,979 FP16 TFLOPS with sparsity, half of it dense",
    ),
)
