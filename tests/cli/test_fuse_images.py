"""`refusion fuse` on stills: two images, two folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion import Fuser
from refusion.files import read_image, write_image

Command = Callable[..., Any]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_images_give_what_the_api_gives(cli: Command, images: tuple[Path, Path]) -> None:
    outcome = cli("fuse", *images, "-o", "fused.png", "--threads", "1")
    assert (outcome.status, outcome.out, outcome.err) == (0, "wrote fused.png\n", "")
    expected = Fuser("ivif", threads=1)(*(read_image(path) for path in images))
    assert expected.shape == (48, 64, 3)
    np.testing.assert_array_equal(read_image(Path("fused.png")), expected)


def test_range_off_keeps_the_networks_values(cli: Command, images: tuple[Path, Path]) -> None:
    assert cli("fuse", images[0], images[0], "-o", "off.png", "--range", "off").status == 0
    assert cli("fuse", images[0], images[0], "-o", "image.png").status == 0
    stretched, plain = read_image(Path("image.png")), read_image(Path("off.png"))
    assert (stretched.min(), stretched.max()) == (0, 255)
    assert np.ptp(plain) < 255


def test_an_output_is_replaced_by_force_alone(cli: Command, images: tuple[Path, Path]) -> None:
    target = Path("fused.png")
    target.write_text("precious")
    outcome = cli("fuse", *images, "-o", target)
    assert outcome.status == 1
    assert outcome.error_lines == ["error: fused.png is there already; give --force to replace it"]
    assert target.read_text() == "precious"
    assert cli("fuse", *images, "-o", target, "--force").status == 0
    assert read_image(target).shape == (48, 64, 3)


def test_two_folders(cli: Command, folders: tuple[Path, Path]) -> None:
    outcome = cli("fuse", *folders, "-o", "fused")
    assert (outcome.status, outcome.out, outcome.err) == (0, "wrote 3 images to fused\n", "")
    assert names(Path("fused")) == ["0.png", "1.png", "2.png"]
    assert read_image(Path("fused/1.png")).shape == (48, 64, 3)


def test_images_without_a_partner_are_listed(cli: Command, folders: tuple[Path, Path]) -> None:
    (folders[1] / "2.png").rename(folders[1] / "other.png")
    outcome = cli("fuse", "ir", "vis", "-o", "fused")
    assert (outcome.status, outcome.out) == (1, "wrote 2 images to fused\n")
    assert outcome.error_lines == [
        "error: ir/2.png has no partner of the same name",
        "error: vis/other.png has no partner of the same name",
    ]
    assert names(Path("fused")) == ["0.png", "1.png"]


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(40) + data[len(data) // 2 + 40 :])


def shrink(path: Path) -> None:
    write_image(path, np.zeros((40, 64), np.uint8), force=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text("no image"), "error: vis/1.png is not an image, or is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "error: vis/1.png is truncated"),
        (shrink, "error: ir/1.png and vis/1.png: the sources differ in size: a is 64x48, b is 64x40"),
    ],
    ids=["text", "truncated", "size"],
)
def test_one_bad_image_does_not_cost_the_others(
    cli: Command, folders: tuple[Path, Path], spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folders[1] / "1.png")
    outcome = cli("fuse", "ir", "vis", "-o", "fused")
    assert (outcome.status, outcome.out) == (1, "wrote 2 images to fused\n")
    (line,) = outcome.error_lines
    assert line.startswith(message)
    assert names(Path("fused")) == ["0.png", "2.png"]


def test_decoders_stay_silent_on_a_bad_image(installed_cli: Command, folders: tuple[Path, Path]) -> None:
    damage(folders[1] / "1.png")
    outcome = installed_cli("fuse", "ir", "vis", "-o", "fused")
    assert outcome.status == 1
    assert outcome.error_lines == ["error: vis/1.png is not an image, or is damaged"]


def test_a_second_run_is_refused_before_any_work(cli: Command, folders: tuple[Path, Path]) -> None:
    Path("fused").mkdir()
    Path("fused/2.png").write_text("precious")
    outcome = cli("fuse", *folders, "-o", "fused")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error_lines == [
        "error: 1 outputs are there already, fused/2.png first; give --force to replace them"
    ]
    assert names(Path("fused")) == ["2.png"]
    assert Path("fused/2.png").read_text() == "precious"
    assert cli("fuse", *folders, "-o", "fused", "--force").status == 0
    assert read_image(Path("fused/2.png")).shape == (48, 64, 3)


def test_the_device_is_chosen(cli: Command, images: tuple[Path, Path]) -> None:
    assert cli("fuse", *images, "-o", "cpu.png", "--device", "cpu", "--engines", "nowhere").status == 0
    unknown = cli("fuse", *images, "-o", "x.png", "--device", "tpu")
    assert unknown.error_lines == ["error: there is no device 'tpu'; choose one of auto, cpu, cuda"]
    Path("x.plan").write_bytes(b"junk")
    on_cpu = cli("fuse", *images, "-o", "x.png", "--weights", "x.plan", "--device", "cpu", "--trust")
    (line,) = on_cpu.error_lines
    assert line.startswith("error: TensorRT runs on GPUs only")
    assert not Path("x.png").exists()
