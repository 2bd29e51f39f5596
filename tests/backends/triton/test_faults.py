"""What goes wrong on the way to a server and back, by a stand-in that does it when it is told to."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from triton_repository import served

from refusion import BackendError, InputError, UsageError
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.backends.triton import backend as backend_module
from refusion.backends.triton import regions
from refusion.backends.triton.address import TritonAddress
from refusion.backends.triton.backend import TritonBackend
from refusion.export.triton import write_model_repository
from refusion.models import Model
from refusion.tasks import Task

grpc = pytest.importorskip("grpc", reason="tritonclient[grpc] is not installed")

BOTH_WAYS = pytest.mark.parametrize("way", ["shared_memory=on", "shared_memory=off"])
WAIT_S = 30.0
LITE = "refusion_ivif_lite_fp32_onnx"


@contextmanager
def opened(server: Any, options: str = "", *, model: Model = Model.lite) -> Iterator[TritonBackend]:
    backend = TritonBackend(TritonAddress.parse(f"{server.address}?{options}"), Task.ivif, model=model)
    try:
        yield backend
    finally:
        backend.close()


def frame(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 2, height, width), np.float32)


def expected_of(server: Any, sources: np.ndarray) -> np.ndarray:
    (fused,) = server.repository.session(LITE).run(["fused"], {"sources": sources})
    return fused


@BOTH_WAYS
def test_an_answer_that_comes_late_reaches_no_other_frame(local: Any, way: str) -> None:
    """The first try is given up, and writes its output while a later frame's is on its way."""
    later, written = threading.Event(), threading.Event()

    def before(number: int, context: Any) -> None:
        if number == 0:
            assert later.wait(WAIT_S)

    def after(number: int, answer: Any) -> None:
        if number == 0:
            written.set()
        if number == 2:
            later.set()
            assert written.wait(WAIT_S)

    local.faults.before, local.faults.after = before, after
    with opened(local, f"{way}&deadline_s=1") as backend:
        for seed in (1, 2, 3):
            np.testing.assert_array_equal(backend.run(frame(seed)), expected_of(local, frame(seed)))
    assert written.is_set()


@BOTH_WAYS
def test_the_last_frame_is_no_answer_where_the_server_writes_none(local: Any, way: str) -> None:
    with opened(local, way) as backend:
        backend.run(frame(1))
        local.faults.writes_output = False
        with pytest.raises(BackendError, match="answered wrongly: .*(never written|found 0)"):
            backend.run(frame(1))
        local.faults.writes_output = True
        np.testing.assert_array_equal(backend.run(frame(2)), expected_of(local, frame(2)))


def other_id(answer: Any) -> None:
    answer.id = "another"


def other_model(answer: Any) -> None:
    answer.model_name = "another"


def other_name(answer: Any) -> None:
    answer.outputs[0].name = "another"


def other_type(answer: Any) -> None:
    answer.outputs[0].datatype = "FP16"


def other_size(answer: Any) -> None:
    answer.outputs[0].shape[3] = 32


def two_outputs(answer: Any) -> None:
    answer.outputs.append(answer.outputs[0])


@BOTH_WAYS
@pytest.mark.parametrize("change", [other_id, other_model, other_name, other_type, other_size, two_outputs])
def test_an_answer_to_another_question_is_refused(
    local: Any, way: str, change: Callable[[Any], None]
) -> None:
    local.faults.after = lambda number, answer: change(answer)
    with (
        opened(local, way) as backend,
        pytest.raises(BackendError, match="answered wrongly: expected .*, found "),
    ):
        backend.run(frame(1))


def test_values_that_are_none_are_refused(local: Any) -> None:
    def after(number: int, answer: Any) -> None:
        answer.raw_output_contents[0] = np.full((48, 64), np.inf, np.float32).tobytes()

    local.faults.after = after
    with (
        opened(local, "shared_memory=off") as backend,
        pytest.raises(BackendError, match="NaN or infinite"),
    ):
        backend.run(frame(1))


@pytest.mark.parametrize("is_seen", [True, False], ids=["while it is asked", "between two frames"])
def test_a_server_that_comes_back_with_other_weights_is_refused(
    local: Any, monkeypatch: pytest.MonkeyPatch, is_seen: bool
) -> None:
    if not is_seen:
        monkeypatch.setattr(backend_module, "_UNSEEN_S", 0.0)
    # Over the network a new server could answer at once: shared memory would be unknown to it.
    with opened(local, "shared_memory=off") as backend:
        backend.run(frame(1))
        local.kill()
        write_model_repository(local.folder, [served(Model.lite, checkpoint="d" * 64)], force=True)
        if is_seen:
            back = threading.Timer(0.3, local.start)
            back.start()
        else:
            local.start()
        with pytest.raises(BackendError, match="serves another refusion_ivif_lite_.* now: .*cccc.*dddd"):
            backend.run(frame(2))
        if is_seen:
            back.join()


def test_a_server_that_stays_away_is_given_up(local: Any) -> None:
    with opened(local, "retry_s=0.6") as backend:
        backend.run(frame(1))
        local.kill()
        with pytest.raises(BackendError, match=r"did not fuse a frame: UNAVAILABLE.*tries in .*\?retry_s=S"):
            backend.run(frame(2))


def test_a_server_that_is_too_slow_is_given_up(local: Any) -> None:
    done = threading.Event()
    local.faults.before = lambda number, context: done.wait(WAIT_S)
    with opened(local, "deadline_s=0.3&retry_s=0") as backend:
        try:
            with pytest.raises(BackendError, match=r"DEADLINE_EXCEEDED.*1 tries.*\?deadline_s=S \(now 0.3\)"):
                backend.run(frame(1))
        finally:
            done.set()


@pytest.mark.parametrize(("code", "tries"), [("INVALID_ARGUMENT", 1), ("INTERNAL", 3)])
def test_what_would_fail_again_is_not_tried_for_long(local: Any, code: str, tries: int) -> None:
    numbers = []

    def before(number: int, context: Any) -> None:
        numbers.append(number)
        context.abort(grpc.StatusCode[code], "no such luck")

    local.faults.before = before
    with (
        opened(local) as backend,
        pytest.raises(BackendError, match=f"did not fuse a frame: {code}: no such luck$"),
    ):
        backend.run(frame(1))
    assert len(numbers) == tries


def test_a_server_that_comes_back_may_fail_oddly_at_first(local: Any) -> None:
    codes = ["INTERNAL", "UNAVAILABLE", "UNAVAILABLE", "INTERNAL", "INTERNAL"]

    def before(number: int, context: Any) -> None:
        if codes:
            context.abort(grpc.StatusCode[codes.pop(0)], "no such luck")

    local.faults.before = before
    with opened(local) as backend:
        assert backend.run(frame(1)).shape == (1, 1, *frame(1).shape[2:])
    assert not codes


def test_closing_ends_the_tries(local: Any) -> None:
    with opened(local) as backend:
        local.kill()
        closing = threading.Timer(0.3, backend.close)
        closing.start()
        with pytest.raises(BackendError, match="given up when what fuses them was closed"):
            backend.run(frame(1))
        closing.join()


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(regions, "FOLDER", tmp_path)


def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(regions, "FOLDER", tmp_path / "none")


def full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(regions, "FOLDER", tmp_path)
    monkeypatch.setattr(os, "posix_fallocate", no_room)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (elsewhere, "INTERNAL: Unable to open shared memory region"),
        (nowhere, "No such file or directory"),
        (full, "No space left on device"),
    ],
)
def test_without_shared_memory_frames_go_over_the_network(
    local: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: Callable[[pytest.MonkeyPatch, Path], None],
    message: str,
) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    problem(monkeypatch, folder)
    with opened(local) as backend:
        np.testing.assert_array_equal(backend.run(frame(1)), expected_of(local, frame(1)))
        assert backend.description.endswith("network")
    assert message in caplog.text
    with (
        opened(local, "shared_memory=on") as backend,
        pytest.raises(BackendError, match=f"cannot use shared memory: .*{message}.*--ipc=host"),
    ):
        backend.run(frame(1))
    assert not list(folder.iterdir())


def test_a_server_without_shared_memory_gets_everything_over_the_network(local: Any) -> None:
    local.faults.extensions = ()
    with opened(local) as backend:
        assert backend.description.endswith("network")
    with pytest.raises(BackendError, match="has no shared memory: leave out shared_memory=on"):
        TritonBackend(TritonAddress.parse(f"{local.address}?shared_memory=on"), Task.ivif, model=Model.lite)


def test_servers_behind_one_address_get_everything_over_the_network(
    local: Any, caplog: pytest.LogCaptureFixture
) -> None:
    local.faults.forgets_regions = True
    with opened(local) as backend:
        np.testing.assert_array_equal(backend.run(frame(1)), expected_of(local, frame(1)))
    assert "several servers behind one address" in caplog.text
    with opened(local, "shared_memory=on") as backend, pytest.raises(BackendError, match="regions are lost"):
        backend.run(frame(1))


@pytest.mark.parametrize(("version", "left"), [("2.51.0", 0), ("2.49.0", 1), ("unknown", 1)])
def test_a_region_in_use_is_left_to_servers_that_would_not_survive_it(
    local: Any, version: str, left: int
) -> None:
    done = threading.Event()

    def before(number: int, context: Any) -> None:
        if number == 0:
            assert done.wait(WAIT_S)

    local.faults.before, local.faults.version = before, version
    with opened(local, "shared_memory=on&deadline_s=1") as backend:
        np.testing.assert_array_equal(backend.run(frame(1)), expected_of(local, frame(1)))
    assert len(local.repository.regions) == left
    done.set()


@pytest.mark.parametrize(
    ("task", "model", "name", "error", "message"),
    [
        (
            Task.mif,
            None,
            "",
            BackendError,
            "no model for mif, full, ready: expected one named like refusion_mif_fp16_tensorrt, found "
            "refusion_ivif_fp32_onnx, refusion_ivif_lite_fp32_onnx; .* --task mif --model full ",
        ),
        (Task.ivif, None, "mine", BackendError, "has no model mine ready; it has refusion_ivif_fp32_onnx, "),
        (Task.mif, None, "refusion_ivif_fp32_onnx", UsageError, "is of the task ivif, not mif"),
        (Task.ivif, Model.lite, "refusion_ivif_fp32_onnx", UsageError, "is of the model full, not lite"),
    ],
)
def test_the_model_must_be_there_and_fit(
    local: Any, task: Task, model: Model | None, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TritonBackend(TritonAddress.parse(f"{local.address}/{name}"), task, model=model)


def test_a_named_model_is_taken_as_it_is(local: Any) -> None:
    address = TritonAddress.parse(f"{local.address}/{LITE}")
    backend = TritonBackend(address, Task.ivif)
    assert LITE in backend.description
    backend.close()


def test_a_model_of_one_size_refuses_others(local: Any) -> None:
    local.kill()
    profile = ShapeProfile.fixed(1, 48, 64)
    write_model_repository(local.folder, [served(Model.lite, profile)], force=True)
    local.start()
    with opened(local) as backend:
        np.testing.assert_array_equal(backend.run(frame(1)), expected_of(local, frame(1)))
        with pytest.raises(InputError, match="takes frames of 64x48, found 32x16"):
            backend.run(frame(1, 16, 32))


def test_a_foreign_model_is_refused(local: Any) -> None:
    local.repository.configs[LITE].input[0].name = "pixels"
    with pytest.raises(
        BackendError, match="is no ReFusion model: expected .*sources TYPE_FP32 .*found .*pixels"
    ):
        TritonBackend(TritonAddress.parse(local.address), Task.ivif, model=Model.lite)


def test_nobody_answers() -> None:
    from triton_server import free_port

    with pytest.raises(BackendError, match=r"no Triton server answers at 127.0.0.1:\d+: UNAVAILABLE"):
        TritonBackend(TritonAddress("127.0.0.1", free_port()), Task.ivif)
