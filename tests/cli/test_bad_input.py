"""Whatever is wrong, the user gets one line that says so: no traceback, no word of a library, no output."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from refusion.files import write_image
from refusion.stream.video import VideoWriter

Command = Callable[..., Any]

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


@pytest.fixture
def inputs(images: tuple[Path, Path], videos: tuple[Path, Path], tmp_path: Path) -> Path:
    """Folder with good inputs and bad ones."""
    image, video = images[1].read_bytes(), videos[1].read_bytes()
    half = len(image) // 2
    for name, content in {
        "text.png": b"no image\n" * 9,
        "empty.png": b"",
        "truncated.png": image[:half],
        "damaged.png": image[:half] + bytes(40) + image[half + 40 :],
        "text.jpg": b"no image\n" * 9,
        "text.mp4": b"no video\n" * 99,
        "empty.mp4": b"",
        "truncated.mp4": video[: len(video) * 2 // 3],
        "corrupt.onnx": b"no model\n" * 99,
        "corrupt.safetensors": b"no weights\n" * 99,
        "corrupt.pth": b"no weights\n" * 99,
        "file": b"a file",
    }.items():
        (tmp_path / name).write_bytes(content)
    for suffix in (".tif", ".bmp"):
        _, encoded = cv2.imencode(suffix, cv2.imread(str(images[1])))
        (tmp_path / f"truncated{suffix}").write_bytes(encoded.tobytes()[: encoded.size // 2])
    write_image(tmp_path / "small.png", np.zeros((40, 64), np.uint8))
    for name, size, frames in (("small.mp4", (48, 48), 4), ("short.mp4", (64, 48), 3)):
        with VideoWriter(tmp_path / name, rate=25, size=size) as writer:
            for _ in range(frames):
                writer.write(np.zeros((size[1], size[0]), np.uint8))
    for name in ("folder", "folder.png", "folder.mp4"):
        (tmp_path / name).mkdir()
    return tmp_path


def check(outcome: Any, folder: Path, before: set[Path], message: str) -> None:
    assert outcome.status == 1
    assert outcome.out == ""
    assert len(outcome.error_lines) == 1, outcome.err
    assert message in outcome.err
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.png none.png -o new.png", "there is no file or folder none.png"),
        ("a.png text.png -o new.png", "text.png is not an image, or is damaged"),
        ("a.png empty.png -o new.png", "empty.png is not an image, or is damaged"),
        ("a.png text.jpg -o new.png", "text.jpg is not an image, or is damaged"),
        ("a.png truncated.png -o new.png", "truncated.png is truncated: its end is missing"),
        ("a.png damaged.png -o new.png", "damaged.png is not an image, or is damaged"),
        ("a.png truncated.tif -o new.png", "truncated.tif is not an image, or is damaged"),
        ("a.png truncated.bmp -o new.png", "truncated.bmp is not an image, or is damaged"),
        ("a.png small.png -o new.png", "the sources differ in size: a is 64x48, b is 64x40"),
        ("a.png b.png -o folder.png --force", "folder.png cannot be written: it is a folder"),
        ("a.png b.png -o file/new.png", "file/new.png cannot be written: there is no folder file"),
        ("a.png b.png -o none/new.png", "none/new.png cannot be written: there is no folder none"),
        ("a.png b.png -o a.png --force", "a.png is a source; write the result elsewhere"),
        ("a.png b.png -o new.gif", "the name of an image must end in one of .bmp"),
        ("a.png b.png -o new.png --range tracked", "--range tracked follows the frames of a video"),
        ("a.png b.png -o new.png --range wide", "there is no range policy 'wide'"),
        ("a.png b.png -o new.png --task nope", "there is no task 'nope'; choose one of ivif"),
        ("a.png b.png -o new.png --model nope", "there is no model 'nope'; choose one of full"),
        ("a.png b.png -o new.png --backend nope", "there is no backend 'nope'; choose one of auto"),
        ("folder folder -o new", "there are no images in folder"),
    ],
)
def test_images(installed_cli: Command, inputs: Path, arguments: str, message: str) -> None:
    before = set(inputs.rglob("*"))
    check(installed_cli("fuse", *arguments.split()), inputs, before, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.mp4 text.mp4 -o new.mp4", "text.mp4 is not a video, or is truncated"),
        ("a.mp4 empty.mp4 -o new.mp4", "empty.mp4 is not a video, or is truncated"),
        ("a.mp4 truncated.mp4 -o new.mp4", "truncated.mp4 is truncated: it declares"),
        ("a.mp4 small.mp4 -o new.mp4", "differ in size: a.mp4 has 64x48, small.mp4 has 48x48"),
        ("a.mp4 short.mp4 -o new.mp4", "differ in number of frames: a.mp4 has 4, short.mp4 has 3"),
        ("a.mp4 b.mp4 -o new.png", "videos are written as MP4, so name it NAME.mp4"),
        ("a.mp4 b.mp4 -o folder.mp4 --force", "folder.mp4 cannot be written: it is a folder"),
        ("a.mp4 b.mp4 -o none/new.mp4", "none/new.mp4 cannot be written: there is no folder none"),
        ("a.mp4 b.mp4 -o new.mp4 --range wide", "there is no range policy 'wide'"),
        ("a.png folder -o new.png", "of one kind: a.png is an image, folder is a folder"),
        ("a.png b.mp4 -o new.png", "of one kind: a.png is an image, b.mp4 is a video"),
        ("synthetic: synthetic: -o new.mp4", "never ends: say how many frames to take"),
        ("synthetic:?frames=2 b.mp4 -o new.mp4", "a synthetic scene need the same address"),
    ],
)
def test_videos(installed_cli: Command, inputs: Path, arguments: str, message: str) -> None:
    before = set(inputs.rglob("*"))
    check(installed_cli("fuse", *arguments.split()), inputs, before, message)


def test_video_of_no_frames(installed_cli: Command, videos: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "hollow.y4m").write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip C420jpeg\n")
    before = set(tmp_path.rglob("*"))
    outcome = installed_cli("fuse", "hollow.y4m", "b.mp4", "-o", "new.mp4")
    check(outcome, tmp_path, before, "hollow.y4m has a video stream, but no frames in it")


@pytest.mark.parametrize(
    "arguments",
    [
        "fuse a.png b.png -o LONG.png",
        "fuse a.png LONG.png -o new.png",
        "fuse a.png b.png -o new.png --weights LONG.onnx",
        "fuse a.png b.png -o new.png --weights LONG.safetensors",
        "fuse a.mp4 b.mp4 -o LONG.mp4",
        "fuse a.mp4 LONG.mp4 -o new.mp4",
        "batch --a LONG --b folder -o new",
        "stream --ir a.mp4 --visible b.mp4 -o LONG.mp4",
        "stream --ir a.mp4 --visible b.mp4 -o LONG",
        "stream --ir a.mp4 --visible b.mp4 -o new.mp4 --report LONG.json",
        "calibrate --ir a.mp4 --visible LONG.mp4 -o new.yaml",
        "calibrate --ir a.mp4 --visible b.mp4 -o LONG.yaml",
        "eval --a LONG --b folder --fused folder",
        "demo -o LONG",
        "bench latency --json LONG.json",
        "bench quality --data LONG",
        pytest.param("train --data LONG -o new", marks=needs_torch),
    ],
)
def test_names_that_no_file_can_have(cli: Command, inputs: Path, arguments: str) -> None:
    before = set(inputs.rglob("*"))
    outcome = cli(*arguments.replace("LONG", "x" * 300).split())
    assert outcome.status == 1
    assert len(outcome.error_lines) == 1
    assert "File name too long" in outcome.err
    assert set(inputs.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        "fuse a.png b.png -o link.png",
        "fuse a.mp4 b.mp4 -o b.mp4",
        "fuse pictures pictures -o pictures",
        "batch --a pictures --b pictures -o pictures",
        "stream --ir a.mp4 --visible b.mp4 -o a.mp4",
        "stream --ir pictures --visible pictures -o pictures",
        "stream --ir a.mp4 --visible b.mp4 --report b.mp4",
        "stream --ir a.mp4 --visible b.mp4 --calibration c.yaml --report c.yaml",
        "calibrate --ir a.mp4 --visible b.mp4 -o ./a.mp4",
        "calibrate --ir a.png --visible b.png --method points --points p.csv -o p.csv",
    ],
)
def test_sources_are_not_replaced_even_by_force(cli: Command, inputs: Path, arguments: str) -> None:
    (inputs / "link.png").symlink_to(inputs / "a.png")
    (inputs / "pictures").mkdir()
    shutil.copy(inputs / "a.png", inputs / "pictures" / "000000.png")
    (inputs / "c.yaml").write_text("version: 1")
    (inputs / "p.csv").write_text("1,2,3,4")
    before = {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()}
    outcome = cli(*arguments.split(), "--force")
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert re.search("is a source; write the results? elsewhere$", line)
    assert {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()} == before


def test_two_outputs_are_two_files(cli: Command, inputs: Path) -> None:
    before = set(inputs.rglob("*"))
    outcome = cli("stream", "--ir", "a.mp4", "--visible", "b.mp4", "-o", "new.mp4", "--report", "./new.mp4")
    check(outcome, inputs, before, "--out and --report both name new.mp4; give each a file of its own")


def test_names_cannot_forge_lines_or_colours(cli: Command, inputs: Path) -> None:
    outcome = cli("fuse", "a.png", "none\nerror: all is well\x1b[31m.png", "-o", "new.png")
    assert outcome.err == ("error: there is no file or folder none\\nerror: all is well\\x1b[31m.png\n")


@needs_torch
def test_lists_of_mistakes_keep_their_lines(cli: Command, tmp_path: Path) -> None:
    for folder in ("ir", "vi"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "1.png", np.zeros((20, 20), np.uint8))
    outcome = cli("train", "--data", ".", "-o", "run")
    assert outcome.err.splitlines()[:2] == [
        "error: these files cannot be trained on; mend or remove them:",
        "  ir/1.png is 20x20, smaller than a patch of 128 pixels",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "b.png", "-o", "new.png"), "A and B must not be empty"),
        (("a.png", "b.png", "-o", "new.png", "--threads", str(10**20)), "the number of threads must be 0"),
    ],
)
def test_slips_in_scripts(cli: Command, inputs: Path, arguments: tuple[str, ...], message: str) -> None:
    before = set(inputs.rglob("*"))
    check(cli("fuse", *arguments), inputs, before, message)


def test_a_name_that_the_terminal_cannot_show_fails_nothing(installed_cli: Command, inputs: Path) -> None:
    outcome = installed_cli("fuse", "a.png", "b.png", "-o", "☃.png", PYTHONIOENCODING="ascii")
    assert (outcome.status, outcome.out, outcome.err) == (0, "wrote \\u2603.png\n", "")
    outcome = installed_cli("fuse", "a.png", "☃☃.png", "-o", "new.png", PYTHONIOENCODING="ascii")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == "error: there is no file or folder \\u2603\\u2603.png\n"


def test_a_closed_pipe_costs_no_result(folders: tuple[Path, Path], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    folder = folders[1]
    command = [sys.executable, "-m", "refusion", "eval", "--a", folder, "--b", folder, "--fused", folder]
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run([*command, "--json", tmp_path / "r.json"], stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")
    assert len(json.loads((tmp_path / "r.json").read_text())["pairs"]) == 3


class RunsCode:
    """Makes a file `ran` where its pickle is loaded without care."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch ran",)


def foreign_model(path: Path) -> None:
    """Write a valid ONNX model that is not ours."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("none.onnx", "there is no model none.onnx"),
        ("file", "file is no weights file: it must end in one of .safetensors"),
        ("corrupt.onnx", "corrupt.onnx is not a readable ONNX model"),
        ("foreign.onnx", "foreign.onnx is not a ReFusion model: expected the input"),
        pytest.param("none.pth", "there is no checkpoint none.pth", marks=needs_torch),
        pytest.param("corrupt.pth", "corrupt.pth is not a readable checkpoint", marks=needs_torch),
        pytest.param(
            "corrupt.safetensors", "corrupt.safetensors is not a readable safetensors", marks=needs_torch
        ),
        pytest.param("other.safetensors", "holds another network than full: the", marks=needs_torch),
        pytest.param("code.pth", "code.pth is not a readable checkpoint", marks=needs_torch),
    ],
)
def test_weights(installed_cli: Command, inputs: Path, weights: str, message: str) -> None:
    if weights == "foreign.onnx":
        foreign_model(inputs / weights)
    (inputs / "code.pth").write_bytes(pickle.dumps(RunsCode()))
    # One float32 tensor of three zeros, by the format's definition.
    header = b'{"weight":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
    (inputs / "other.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    before = set(inputs.rglob("*"))
    outcome = installed_cli("fuse", "a.png", "b.png", "-o", "new.png", "--weights", weights)
    check(outcome, inputs, before, message)
    assert not (inputs / "ran").exists()


def test_code_in_a_checkpoint_archive_does_not_run(installed_cli: Command, inputs: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.save({"weight": RunsCode()}, inputs / "code.pth")
    before = set(inputs.rglob("*"))
    outcome = installed_cli("fuse", "a.png", "b.png", "-o", "new.png", "--weights", "code.pth")
    check(outcome, inputs, before, "code.pth was refused: it holds more than tensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("eval --a folder --b folder --fused folder", "there are no images in folder"),
        ("eval --a none --b folder --fused folder", "there is no folder none"),
        ("demo -o file", "file cannot be made: it is a file, not a folder"),
        ("demo -o new --weights corrupt.onnx", "corrupt.onnx is not a readable ONNX model"),
        pytest.param("export -o file", "file cannot be made: it is a file", marks=needs_torch),
        ("export -o new --verify-a folder", "--verify-a and --verify-b go together"),
        ("export -o new --task nope", "there is no task 'nope'"),
        ("train --data folder -o new --task nope", "there is no task 'nope'"),
        pytest.param(
            "train --data folder -o new", "folder holds no pairs for ivif: no folders ir/", marks=needs_torch
        ),
        pytest.param(
            "train --data folder -o new epochs=x", "epochs takes a value of type int", marks=needs_torch
        ),
        pytest.param("train --data folder -o new --resume", "no run to resume in new", marks=needs_torch),
    ],
)
def test_other_commands(installed_cli: Command, inputs: Path, arguments: str, message: str) -> None:
    before = set(inputs.rglob("*"))
    check(installed_cli(*arguments.split()), inputs, before, message)
