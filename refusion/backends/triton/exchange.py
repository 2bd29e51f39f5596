"""One run of a model: the sources to the server, the fused luma back, and the checks of what came."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.backends.triton.client import TritonClient
from refusion.backends.triton.regions import RegionPool
from refusion.errors import BackendError

_FLOAT_BYTES = 4


def over_network(
    client: TritonClient, model: str, sources: NDArray[np.float32], request_id: str
) -> NDArray[np.float32]:
    """Run a model with everything in the messages; sources and result as for Backend.run.

    Raises:
        CallFailedError: The server did not answer.
        BackendError: It did not answer as it should.
    """
    from tritonclient.grpc import InferInput, InferRequestedOutput

    tensor = InferInput("sources", list(sources.shape), "FP32")
    tensor.set_data_from_numpy(sources)
    answer = client.infer(model, [tensor], [InferRequestedOutput("fused")], request_id).get_response()
    shape = _fused_shape(sources)
    _check_answer(answer, model, shape, request_id)
    contents = answer.raw_output_contents
    found = len(contents[0]) if len(contents) == 1 else 0
    expected = int(np.prod(shape)) * _FLOAT_BYTES
    if found != expected:
        raise _wrong(f"expected {expected} bytes of fused luma, found {found}")
    fused = np.frombuffer(contents[0], np.float32).reshape(shape)
    _check_values(fused)
    return fused


def over_memory(
    client: TritonClient, pool: RegionPool, model: str, sources: NDArray[np.float32], request_id: str
) -> NDArray[np.float32]:
    """Run a model with the values in memory that the server sees; else as over_network.

    Raises:
        OSError, RegionRefusedError: There is no such memory here, or the server cannot open it.
        CallFailedError, BackendError: As over_network.
    """
    from tritonclient.grpc import InferInput, InferRequestedOutput

    shape = _fused_shape(sources)
    output_bytes = int(np.prod(shape)) * _FLOAT_BYTES
    region = pool.take(client, sources.nbytes + output_bytes)
    try:
        region.floats(sources.shape)[:] = sources
        output = region.floats(shape, offset=sources.nbytes)
        # What the server leaves unwritten must not pass for an answer: least of all the last frame's.
        output.fill(np.nan)
        tensor = InferInput("sources", list(sources.shape), "FP32")
        tensor.set_shared_memory(region.name, sources.nbytes)
        requested = InferRequestedOutput("fused")
        requested.set_shared_memory(region.name, output_bytes, offset=sources.nbytes)
        answer = client.infer(model, [tensor], [requested], request_id).get_response()
        _check_answer(answer, model, shape, request_id)
        fused = output.copy()
        _check_values(fused)
    except BaseException:
        pool.abandon(region, client)
        raise
    pool.give_back(region)
    return fused


def _fused_shape(sources: NDArray[np.float32]) -> tuple[int, ...]:
    return len(sources), 1, *sources.shape[2:]


def _check_answer(answer: Any, model: str, shape: tuple[int, ...], request_id: str) -> None:
    tensors = [(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in answer.outputs]
    found = (answer.id, answer.model_name, tensors)
    expected = (request_id, model, [("fused", "FP32", shape)])
    if found != expected:
        raise _wrong(f"expected {expected}, found {found}")


def _check_values(fused: NDArray[np.float32]) -> None:
    # Extremes take NaN and infinities along, and need no mask as large as the picture.
    if not (np.isfinite(fused.min()) and np.isfinite(fused.max())):
        raise _wrong("the fused luma has values that are NaN or infinite, or that were never written")


def _wrong(problem: str) -> BackendError:
    return BackendError(f"the Triton server answered wrongly: {problem}")
