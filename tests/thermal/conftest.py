"""Fixtures of thermal input."""

from __future__ import annotations

import pytest
from thermal_camera import Camera


@pytest.fixture
def camera() -> Camera:
    """A camera at 9 Hz."""
    return Camera()
