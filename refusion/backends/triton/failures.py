"""How calls to a Triton server fail, and what is left to try."""

from __future__ import annotations

# What the same call would meet again.
_FINAL = frozenset(
    {"INVALID_ARGUMENT", "OUT_OF_RANGE", "UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED"}
)
# The model failed, or a connection in an odd way: worth another try, not half a minute of them.
_DOUBTFUL = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS", "RESOURCE_EXHAUSTED"})
_MOST_DOUBTFUL = 3
_ABSENT = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


class CallFailedError(Exception):
    """A call that was not answered as it should; whether it is tried again is the caller's choice."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code
        self.is_region_lost = code in ("NOT_FOUND", "INVALID_ARGUMENT") and "shared memory" in text

    @property
    def is_absence(self) -> bool:
        """Whether the server is not there or too slow, so that nothing is known of what it did."""
        return self.code in _ABSENT

    @property
    def is_doubtful(self) -> bool:
        """Whether more of its kind would be in vain."""
        return self.code in _DOUBTFUL

    def is_worth_retrying(self, doubtful: int) -> bool:
        """Tell whether another try could end better, after so many doubtful failures, this one included."""
        if self.is_region_lost:
            return True
        return self.code not in _FINAL and doubtful < _MOST_DOUBTFUL


class RegionRefusedError(Exception):
    """A server cannot open memory of this host."""
