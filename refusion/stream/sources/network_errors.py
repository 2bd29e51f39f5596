"""What FFmpeg's errors on connecting mean to a user."""

from __future__ import annotations

from refusion.errors import InputError
from refusion.stream.sources.interface import SourceLostError


def refusal(error: Exception, uri: str) -> InputError | SourceLostError:
    """Return the error to raise where a connection fails.

    Args:
        error: As PyAV raised it. Its own text holds the address, with the password, and is not used.
        uri: The address without password.

    Returns:
        An InputError where trying again would not help, else a SourceLostError.
    """
    import av

    reason = getattr(error, "strerror", None) or type(error).__name__
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return InputError(f"{uri} refuses this user name and password ({reason})")
    if isinstance(error, av.HTTPNotFoundError):
        return InputError(f"{uri} is not there: the server is, but has no such stream (404)")
    if isinstance(error, av.HTTPClientError):
        return InputError(f"{uri} refuses the request ({reason})")
    if isinstance(error, av.ProtocolNotFoundError | av.DemuxerNotFoundError | av.ArgumentError):
        return InputError(f"{uri} is no address that can be opened ({reason})")
    if isinstance(error, av.ExitError):
        return SourceLostError("no answer in time")
    if isinstance(error, av.InvalidDataError):
        return SourceLostError("what it sends is no video")
    if getattr(error, "errno", None) == 5:
        # FFmpeg says so where the name of the host is unknown.
        return SourceLostError("the host is unknown or does not answer (is its name right?)")
    return SourceLostError(reason[0].lower() + reason[1:])
