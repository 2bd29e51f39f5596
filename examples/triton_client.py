"""Fuses two images on a Triton server: python examples/triton_client.py IR VISIBLE -o FUSED [--url HOST:PORT]

The server needs a model repository that `refusion export --format triton` wrote; this side needs no GPU:
pip install refusion 'tritonclient[grpc]'
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import tritonclient.grpc as triton

from refusion import Chroma, ops
from refusion.files import read_image, write_image


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare the pair here, run the network there, finish the picture here."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("a", type=Path, help="source a of the task, for ivif the infrared image")
    parser.add_argument("b", type=Path, help="source b, of the same size")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server")
    parser.add_argument("--model", default="refusion_ivif_fp16_onnx")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS")
    options = parser.parse_args(arguments)

    a, b = read_image(options.a), read_image(options.b)
    sources = ops.preprocess(a, b)[None]
    request = triton.InferInput("sources", list(sources.shape), "FP32")
    request.set_data_from_numpy(sources)
    with triton.InferenceServerClient(options.url) as client:
        answer = client.infer(options.model, [request], client_timeout=options.timeout)
    fused = answer.as_numpy("fused")[0, 0]
    chroma = Chroma.of(a_is_gray=ops.is_gray(a), b_is_gray=ops.is_gray(b))
    write_image(
        options.output, ops.postprocess(fused, a, b, chroma=chroma, value_range=ops.value_range(fused))
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
