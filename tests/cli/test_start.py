"""Starting quickly: what is imported when, and what --help needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("torch", "onnxruntime", "onnx", "av", "tensorrt", "tensorrt_rtx", "pycuda")


def imported(code: str) -> set[str]:
    """Return the names of the modules that are loaded after the code ran in a fresh interpreter."""
    report = f"{code}\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES ")[2].split())


def test_import_needs_numpy_and_opencv_only() -> None:
    modules = imported("import refusion")
    assert {"numpy", "refusion.fuser"} <= modules
    assert not modules & {*HEAVY, "typer", "rich"}


@pytest.mark.parametrize(
    "command",
    ["", "fuse", "calibrate", "export", "train", "eval", "demo", "doctor", "bench", "bench quality"],
)
def test_help_answers_without_heavy_imports(command: str) -> None:
    code = (
        "import sys, refusion.cli\n"
        f"sys.argv = ['refusion', *{command.split()}, '--help']\n"
        "try: refusion.cli.main()\n"
        "except SystemExit as leaving: assert not leaving.code"
    )
    modules = imported(code)
    assert "typer" in modules
    assert not modules & set(HEAVY)


def test_a_fuser_on_a_machine_without_a_gpu_looks_for_nothing_heavy() -> None:
    from refusion.gpus import find_gpus

    if find_gpus().gpus:
        pytest.skip("this machine has a GPU")
    modules = imported("import refusion; refusion.Fuser('ivif')")
    assert "onnxruntime" in modules
    assert not modules & {"tensorrt", "tensorrt_rtx", "pycuda", "torch"}


@pytest.mark.parametrize("script", ["refusion", "refusion-export"])
def test_installed_scripts_answer(installed_cli: Any, script: str) -> None:
    outcome = installed_cli("--help", script=Path(sys.executable).with_name(script))
    assert (outcome.status, outcome.err) == (0, "")
    assert "Usage: refusion" in outcome.out


def test_held_native_messages_come_out_unless_the_command_failed() -> None:
    """What libjpeg says of a damaged file that still decodes is wanted; before an error of ours it is not."""
    code = (
        "import os, sys\n"
        "from refusion.cli.native_messages import held_native_messages\n"
        "with held_native_messages():\n"
        "    os.write(2, b'native\\n')\n"
        "    print('ours', file=sys.stderr)\n"
        "    {end}"
    )
    ends = {
        "pass": "ours\nnative\n",
        "sys.exit(0)": "ours\nnative\n",
        "sys.exit(1)": "ours\n",
        "1 / 0": "ours\nnative\nTraceback",
    }
    for end, expected in ends.items():
        done = subprocess.run([sys.executable, "-c", code.format(end=end)], capture_output=True, text=True)
        assert done.stderr.startswith(expected), end
        assert ("native" in done.stderr) == ("native" in expected)


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor through the shell")
def test_a_closed_standard_error_is_no_trouble(images: tuple[Path, Path], tmp_path: Path) -> None:
    code = "import sys, refusion.cli; sys.argv = ['refusion', *sys.argv[1:]]; refusion.cli.main()"
    command = [sys.executable, "-c", code, "fuse", *map(str, images), "-o", str(tmp_path / "fused.png")]
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode() == f"wrote {tmp_path / 'fused.png'}\n"
