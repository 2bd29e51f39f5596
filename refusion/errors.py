"""Errors that a user can act on. The command line prints their message alone, without a traceback."""

from __future__ import annotations


class RefusionError(Exception):
    """Base of every error that refusion raises on purpose."""


class UsageError(RefusionError):
    """The call itself is wrong: an unknown name, an option that does not fit."""


class InputError(RefusionError):
    """An input cannot be used: missing, unreadable, of the wrong shape, type or values."""


class OutputError(RefusionError):
    """An output cannot be written, or is there already."""


class WeightsError(RefusionError):
    """Weights cannot be used: missing, damaged, of another architecture, or not trustworthy."""


class BackendError(RefusionError):
    """A backend is not installed, or cannot run the model."""
