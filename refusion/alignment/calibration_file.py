"""Calibrations on disk: YAML that people can read and change, checked field by field."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from refusion.alignment.calibration import Adjustment, Calibration, CalibrationMethod, Crop
from refusion.alignment.lens import Lens
from refusion.errors import InputError, RefusionError
from refusion.files import replacing
from refusion.yaml_bounds import refuse_excessive_yaml

FORMAT = 1
_MOST_PIXELS = 1 << 20
"""On a side: no camera has more, and products of such numbers stay exact."""
_HEADER = """\
# How infrared maps onto visible; made by refusion. Pixels: the middle of the first is (0, 0).
# homography: from (x, y, 1) of visible to infrared, both without lens distortion, at reference_distance_m.
# A fusion_distance_m d moves infrared by parallax_px_m * (1 / d - 1 / reference_distance_m), visible pixels.
"""


def save_calibration(calibration: Calibration, path: Path, *, force: bool = False) -> None:
    """Write a calibration; the file is never half-written.

    Raises:
        OutputError: It is there already and force is off, or cannot be written.
    """
    import yaml

    body = yaml.safe_dump(_document(calibration), sort_keys=False, default_flow_style=None, width=100)
    with replacing(path, force=force) as partial:
        partial.write_text(_HEADER + body, encoding="utf-8")


def load_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        InputError: There is no such file, or a field is missing, unknown or malformed; the message names it.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no calibration file {path}; make one with refusion calibrate") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from None
    refuse_excessive_yaml(path, text)
    try:
        document = yaml.safe_load(text)
    except Exception as error:  # of hostile text, constructors raise nearly anything, and RecursionError
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise InputError(f"{path} is not YAML{where}; make it anew with refusion calibrate") from None
    try:
        return _calibration(_Fields(document, ""))
    except RefusionError as error:
        raise InputError(f"{path}: {error}") from None


def _document(calibration: Calibration) -> dict[str, Any]:
    by = calibration.adjustment
    return {
        "format": FORMAT,
        "method": calibration.method.value,
        "created": calibration.created,
        "residual_px": calibration.residual_px,
        "infrared_size": list(calibration.infrared_size),
        "visible_size": list(calibration.visible_size),
        "homography": calibration.homography.tolist(),
        "crop": list(calibration.crop) if calibration.crop else None,
        "reference_distance_m": calibration.reference_distance_m,
        "fusion_distance_m": calibration.fusion_distance_m,
        "parallax_px_m": list(map(float, calibration.parallax_px_m)),
        "adjustment": {
            "offset_px": list(map(float, by.offset_px)),
            "scale": float(by.scale),
            "rotation_deg": float(by.rotation_deg),
        },
        "infrared_lens": _lens_document(calibration.infrared_lens),
        "visible_lens": _lens_document(calibration.visible_lens),
    }


def _lens_document(lens: Lens | None) -> dict[str, Any] | None:
    if lens is None:
        return None
    return {"camera_matrix": lens.camera_matrix.tolist(), "distortion": lens.distortion.tolist()}


class _Fields:
    """The fields of a mapping, each taken once and checked; names are those of the file."""

    def __init__(self, document: Any, prefix: str) -> None:
        if not isinstance(document, Mapping):
            what = prefix.rstrip(".") or "the file"
            raise InputError(f"{what} must hold named fields; make it anew with refusion calibrate")
        self._document = dict(document)
        self._prefix = prefix

    def __contains__(self, name: str) -> bool:
        return self._document.get(name) is not None

    def raw(self, name: str) -> Any:
        if name not in self._document:
            raise InputError(f"the field {self._prefix}{name} is missing")
        return self._document.pop(name)

    def number(self, name: str) -> float:
        value = self.raw(name)
        if not _is_number(value):
            raise self._wrong(name, "a number", value)
        return float(value)

    def finite(self, name: str) -> float:
        value = self.number(name)
        if not math.isfinite(value):
            raise self._wrong(name, "a finite number", value)
        return value

    def optional(self, name: str) -> float | None:
        return self.number(name) if name in self else self._document.pop(name, None)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        value = self.raw(name)
        if not isinstance(value, list) or len(value) != count or not all(map(_is_finite, value)):
            raise self._wrong(name, f"a list of {count} numbers", value)
        return tuple(map(float, value))

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        value = self.raw(name)
        if not isinstance(value, list) or len(value) != count or not all(type(v) is int for v in value):
            raise self._wrong(name, f"a list of {count} whole numbers", value)
        if any(abs(number) > _MOST_PIXELS for number in value):
            raise self._wrong(name, f"at most {_MOST_PIXELS} pixels", value)
        return tuple(value)

    def matrix(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        value = self.raw(name)
        rows = value if isinstance(value, list) else []
        if len(rows) != 3 or not all(
            isinstance(row, list) and len(row) == 3 and all(map(_is_finite, row)) for row in rows
        ):
            raise self._wrong(name, "3 lists of 3 numbers", value)
        return np.array(rows, np.float64)

    def wrong(self, name: str, expected: str, value: Any) -> InputError:
        return self._wrong(name, expected, value)

    def _wrong(self, name: str, expected: str, value: Any) -> InputError:
        # Not repr: lists that hold others by reference ("&a", "*a") grow to any length.
        shown = reprlib.repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return InputError(f"the field {self._prefix}{name} must be {expected}, not {shown}")

    def nested(self, name: str) -> _Fields | None:
        present = name in self
        value = self._document.pop(name, None)
        return _Fields(value, f"{self._prefix}{name}.") if present else None

    def finish(self) -> None:
        """Raise InputError if fields are left: a misspelt name must not be passed over."""
        if self._document:
            raise InputError(f"there is no field {self._prefix}{next(iter(self._document))} in calibrations")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:  # an int past the largest float
        return False


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _calibration(fields: _Fields) -> Calibration:
    version = fields.raw("format")
    if version != FORMAT:
        raise fields.wrong("format", f"{FORMAT}, the one this release reads", version)
    method, created = fields.raw("method"), fields.raw("created")
    methods = {member.value: member for member in CalibrationMethod}
    if not isinstance(method, str) or method not in methods:
        raise fields.wrong("method", f"one of {', '.join(methods)}", method)
    if not (created is None or isinstance(created, datetime)):
        raise fields.wrong("created", "a date and time", created)
    infrared_w, infrared_h = fields.integers("infrared_size", 2)
    visible_w, visible_h = fields.integers("visible_size", 2)
    parallax_x, parallax_y = fields.numbers("parallax_px_m", 2)
    crop = Crop._make(fields.integers("crop", 4)) if "crop" in fields else fields.raw("crop")
    adjustment = fields.nested("adjustment")
    calibration = Calibration(
        infrared_size=(infrared_w, infrared_h),
        visible_size=(visible_w, visible_h),
        homography=fields.matrix("homography"),
        infrared_lens=_lens(fields.nested("infrared_lens")),
        visible_lens=_lens(fields.nested("visible_lens")),
        crop=crop,
        parallax_px_m=(parallax_x, parallax_y),
        reference_distance_m=fields.number("reference_distance_m"),
        fusion_distance_m=fields.optional("fusion_distance_m"),
        adjustment=_adjustment(adjustment) if adjustment else Adjustment(),
        method=methods[method],
        residual_px=fields.optional("residual_px"),
        created=created,
    )
    fields.finish()
    return calibration


def _adjustment(fields: _Fields) -> Adjustment:
    x, y = fields.numbers("offset_px", 2)
    adjustment = Adjustment((x, y), fields.finite("scale"), fields.finite("rotation_deg"))
    fields.finish()
    return adjustment


def _lens(fields: _Fields | None) -> Lens | None:
    if fields is None:
        return None
    matrix, distortion = fields.matrix("camera_matrix"), fields.raw("distortion")
    if not isinstance(distortion, list) or not all(map(_is_finite, distortion)):
        raise fields.wrong("distortion", "a list of numbers", distortion)
    fields.finish()
    return Lens(matrix, np.array(distortion, np.float64))
