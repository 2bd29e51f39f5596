"""Which engines this user built: a plan holds machine code, so one from elsewhere must be trusted by hand."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from refusion.backends.tensorrt.identity import EngineRecord
from refusion.errors import BackendError, OutputError
from refusion.user_folders import data_folder

KEY_BYTES = 32


def key_path() -> Path:
    """Return where this user's key lies."""
    return data_folder() / "engine-key"


def sign(record: EngineRecord) -> EngineRecord:
    """Return the record signed with this user's key, which is made at the first call.

    Raises:
        OutputError: The key cannot be made.
        BackendError: The key is damaged.
    """
    return dataclasses.replace(record, signature=_signature(record, _read_key() or _made_key()))


def is_signed(record: EngineRecord) -> bool:
    """Tell whether the record was signed with this user's key. Without a key nothing was.

    Raises:
        BackendError: The key is damaged.
    """
    key = _read_key()
    # The comparison takes ASCII only.
    if key is None or not record.signature.isascii():
        return False
    return hmac.compare_digest(_signature(record, key), record.signature)


def _signature(record: EngineRecord, key: bytes) -> str:
    return hmac.new(key, record.signed_content(), hashlib.sha256).hexdigest()


def _read_key() -> bytes | None:
    path = key_path()
    try:
        key = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BackendError(f"the key {path} cannot be read: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise BackendError(
            f"the key {path} is damaged: {len(key)} bytes, expected {KEY_BYTES}. Remove it; engines that it "
            "signed then need --trust, or to be built again"
        )
    return key


def _made_key() -> bytes:
    path = key_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp gives mode 0600 from the start. Linked, not moved: of two processes that make the first
        # key at once, the second must take the first one's, whole.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".engine-key.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"the key {path} cannot be made: {error.strerror}") from None
