"""`refusion bench latency` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks.reports import read_report

Command = Callable[..., Any]
SMALL = ("bench", "latency", "--quick", "--backend", "onnxruntime", "--no-baselines", "--size", "32x24")


def test_a_report_and_its_comparison(cli: Command) -> None:
    outcome = cli(*SMALL, "--model", "full", "--threads", "1", "--json", "r.json")
    assert outcome.status == 0, outcome.err
    assert "| full, onnxruntime | 32x24 |" in outcome.out
    assert outcome.out.endswith("wrote r.json\n")
    assert outcome.err.splitlines()[0] == "... network alone, 32x24"
    assert [result["size"] for result in read_report(Path("r.json"))["network"]] == [[32, 24]]
    compared = cli("bench", "latency", "--compare", "r.json", "r.json")
    assert (compared.status, compared.err) == (0, "")
    assert "| full, onnxruntime, 32x24, batch 1 " in compared.out
    assert "| not told apart |" in compared.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "640"), "a size is WIDTHxHEIGHT in pixels, as in 640x480, not '640'"),
        (("--size", "0x480"), "a synthetic scene's width must be 16 to 4096 pixels, not 0"),
        (("--backend", "tpu"), "there is no backend 'tpu'; choose one of native,"),
        (("--backend", "triton"), "the triton backend has its network on a server: measure it there"),
        (("--device", "tpu"), "there is no device 'tpu'; choose one of cpu, cuda"),
        (("--precision", "int8"), "there is no precision 'int8'; choose one of fp32, fp16, bf16"),
        (("--model", "tiny"), "there is no model 'tiny'; choose one of full, lite"),
        (("--weights", "x.onnx"), "--weights are those of one model: name it with --model"),
        (("--weights", "x.onnx", "--model", "full"), "there is no weights file x.onnx"),
        (
            ("--weights", "there.json", "--model", "full"),
            "no backend reads there.json: its name ends in none",
        ),
        (("--json", "there.json"), "there.json is there already; give --force to replace it"),
        (("--compare", "a.json", "b.json"), "there is no report a.json"),
        (("--videos", "a.mp4", "b.mp4"), "there is no video a.mp4"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_measured(
    cli: Command, arguments: tuple[str, ...], message: str
) -> None:
    Path("there.json").write_text("{}")
    outcome = cli("bench", "latency", *arguments)
    assert outcome.status == 1
    (line,) = outcome.error_lines  # and nothing of what is being measured
    assert line.startswith(f"error: {message}")
