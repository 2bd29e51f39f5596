from __future__ import annotations

import pytest

from refusion import UsageError
from refusion.backends.triton.address import SharedMemory, TritonAddress


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("gpu7", TritonAddress("gpu7")),
        ("gpu7:9001", TritonAddress("gpu7", 9001)),
        ("grpc://gpu7:9001/mine", TritonAddress("gpu7", 9001, "mine")),
        ("[::1]:8001", TritonAddress("::1")),
        ("localhost/?deadline_s=2", TritonAddress("localhost", deadline_s=2.0)),
        (
            "10.0.0.5:8001/mine?deadline_s=0.5&retry_s=0&shared_memory=off",
            TritonAddress("10.0.0.5", 8001, "mine", 0.5, 0.0, SharedMemory.off),
        ),
    ],
)
def test_addresses_are_read(url: str, expected: TritonAddress) -> None:
    assert TritonAddress.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "'' is no address of a Triton server: it has no host; expected HOST:PORT"),
        (":8001", "it has no host"),
        ("http://gpu7:8000", "the scheme is http, and Triton is asked by gRPC"),
        ("gpu7:port", "could not be cast to integer"),
        ("gpu7:99999", "Port out of range"),
        ("[::1", "Invalid IPv6 URL"),
        ("me@gpu7", "it has parts that are not known"),
        ("gpu7#x", "it has parts that are not known"),
        ("gpu7/models/mine", "'models/mine' is no name of a model"),
        ("gpu 7", "'gpu 7' is no name of a host"),
        ("gpu7\udcff", "is no name of a host"),
        ("gpu7/mine\0", "is no name of a model"),
        ("gpu7?retries=3", "there is no option retries"),
        ("gpu7?retry_s", "bad query field"),
        ("gpu7?deadline_s=0", "deadline_s must be a number of seconds, at least 0.001, not '0'"),
        ("gpu7?retry_s=nan", "retry_s must be a number of seconds, at least 0, not 'nan'"),
        ("gpu7?shared_memory=yes", "no use of shared memory 'yes'; choose one of auto, on, off"),
    ],
)
def test_other_text_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TritonAddress.parse(url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("10.0.0.5", False), ("gpu7", False)],
)
def test_loopback_is_told_by_the_address(host: str, expected: bool) -> None:
    assert TritonAddress(host).is_loopback is expected


@pytest.mark.parametrize(("host", "expected"), [("gpu7", "gpu7:8001"), ("::1", "[::1]:8001")])
def test_targets_are_written_as_grpc_reads_them(host: str, expected: str) -> None:
    assert TritonAddress(host).target == expected
