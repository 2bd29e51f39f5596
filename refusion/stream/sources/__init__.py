"""Sources of frames, by address: files, folders, cameras, network streams, a synthetic scene."""

from __future__ import annotations

from pathlib import Path

from refusion.errors import InputError
from refusion.files import IMAGE_SUFFIXES
from refusion.stream.sources import gstreamer
from refusion.stream.sources.addresses import camera_of, scheme_of, without_password
from refusion.stream.sources.camera import Camera
from refusion.stream.sources.folder import ImageFolder
from refusion.stream.sources.interface import Reader, Source, SourceLostError, SourceOptions, TimedImage
from refusion.stream.sources.network import SCHEMES, NetworkStream
from refusion.stream.sources.synthetic import SharedScene, SyntheticView
from refusion.stream.sources.video_file import VideoFile

__all__ = ["Reader", "Source", "SourceLostError", "SourceOptions", "TimedImage", "open_source"]

_KINDS = (
    "a file, a folder, a camera (0 or /dev/video0), rtsp:// http:// udp:// tcp://, gst:PIPELINE or synthetic:"
)


def open_source(uri: str, options: SourceOptions, *, scene: SharedScene | None = None) -> Source:
    """Return the source that an address names. It is not opened yet.

    Args:
        uri: Path of a video or of a folder of images; a camera, `0`, `/dev/video0` or
            `/dev/video0?format=MJPG&size=1280x720&rate=30`; a network stream,
            `rtsp://user:password@host/path`, `http://`, `udp://` or `tcp://`; `gst:PIPELINE`; or
            `synthetic:?width=640&height=480&rate=25`.
        options: What the address does not say.
        scene: For a synthetic source: the scene that it shares with another.

    Raises:
        InputError: The address is of no known kind.
    """
    if not uri:
        raise InputError(f"the address of a source is empty; give {_KINDS}")
    scheme = scheme_of(uri)
    if scheme == "synthetic":
        return SyntheticView(scene or SharedScene(uri), is_infrared=options.is_infrared)
    if scheme == gstreamer.SCHEME:
        return gstreamer.GStreamerPipeline(uri)
    if scheme in SCHEMES:
        return NetworkStream(uri, rtsp_transport=options.rtsp_transport)
    path = Path(uri)
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"'{without_password(uri)}' cannot be looked up: {error.strerror}") from None
    if is_folder:
        return ImageFolder(path, rate_hz=options.rate_hz)
    camera = camera_of(uri, options)
    if camera is not None:
        return Camera(*camera)
    if scheme is not None and not is_there:
        raise InputError(f"'{without_password(uri)}' is no source that is known; give {_KINDS}")
    if path.suffix.lower() in IMAGE_SUFFIXES and is_there:
        raise InputError(f"{path} is one image; give its folder, or fuse two images with: refusion fuse")
    return VideoFile(path, luma=options.is_infrared)
