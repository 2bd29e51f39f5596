"""Which frames of two live sources belong to one moment. Nothing here waits or looks at a clock."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from refusion.stream.matching import Match, nearest_of
from refusion.stream.moments import CapturedFrame

_MOST_KEPT = 64
"""Frames a source, whatever the ages: images of fast cameras must not fill the memory."""


_LAGS = 15


class _Arrival(NamedTuple):
    frame: CapturedFrame
    arrival_ns: int


class _Side:
    """What is kept of one source."""

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.kept: deque[_Arrival] = deque()
        self.given: CapturedFrame | None = None
        self.dropped = 0
        self.lag_ns = 0
        """From capture to arrival: the median of the latest frames."""
        self._lags_ns: deque[int] = deque(maxlen=_LAGS)

    def add(self, arrival: _Arrival) -> None:
        is_late = self.kept and arrival.frame.time_ns <= self.kept[-1].frame.time_ns
        if is_late or self.is_given(arrival.frame):
            self.dropped += 1
            return
        self.kept.append(arrival)
        self._lags_ns.append(arrival.arrival_ns - arrival.frame.time_ns)
        self.lag_ns = sorted(self._lags_ns)[len(self._lags_ns) // 2]
        if len(self.kept) > _MOST_KEPT:
            self.forget_first()

    def forget_first(self) -> None:
        self.dropped += not self.is_given(self.kept.popleft().frame)

    def forget_before(self, time_ns: int) -> None:
        while self.kept and self.kept[0].frame.time_ns < time_ns:
            self.forget_first()

    def forget_all(self) -> None:
        while self.kept:
            self.forget_first()

    def is_given(self, frame: CapturedFrame) -> bool:
        return self.given is not None and frame.time_ns <= self.given.time_ns

    def give(self, frame: CapturedFrame) -> None:
        """Note that a frame is shown: frames before it are of no use any more."""
        self.forget_before(frame.time_ns)
        self.given = frame


class LiveMatcher:
    """Keeps the latest frames of two sources and gives the newest moment that they make.

    The faster source leads: each of its frames gives one moment, with the other's nearest frame that has
    come. Where the other source takes longer from capture to arrival, leading frames wait as long, such that
    what is shown together was seen together. They wait at most half of their period more, only where the next
    frame of the other is due in that time and will be nearer.

    If a source is known to be lost, the other one is shown alone at once. If both give frames, but none that
    fit for `max_age`, the leading source is shown alone, each frame after it has waited for its partner: so
    they are together again as soon as they fit. How long the taker stays away plays no part in that. A frame
    older than `max_age` is never given.
    """

    def __init__(self, *, max_skew_ns: int, max_age_ns: int, periods_ns: tuple[int, int]) -> None:
        self.max_skew_ns, self.max_age_ns = max_skew_ns, max_age_ns
        self._sides = (_Side(periods_ns[0]), _Side(periods_ns[1]))
        self._misfit: CapturedFrame | None = None
        self._misfits_since_ns: int | None = None
        self._wake_ns: int | None = None

    @property
    def dropped(self) -> tuple[int, int]:
        """Number of frames of each source that were never given."""
        a, b = self._sides
        return a.dropped, b.dropped

    @property
    def wake_ns(self) -> int | None:
        """When `take` may give something though no frame came; None: not before one comes."""
        return self._wake_ns

    def set_period(self, side: int, period_ns: int) -> None:
        """Tell how far apart the frames of a source (0: first, 1: second) are."""
        self._sides[side].period_ns = period_ns

    def offer(self, side: int, frame: CapturedFrame, now_ns: int) -> None:
        """Add a frame of a source. One that is not newer than those before counts as dropped."""
        self._sides[side].forget_before(frame.time_ns - self.max_age_ns)
        self._sides[side].add(_Arrival(frame, now_ns))

    def take(self, now_ns: int, *, is_lost: tuple[bool, bool] = (False, False)) -> Match | None:
        """Return the newest moment that was not given yet, None while there is none.

        Args:
            now_ns: The time; that of frames' times and offers.
            is_lost: Which of the sources are known to give nothing at present.
        """
        self._wake_ns = None
        for side in self._sides:
            side.forget_before(now_ns - self.max_age_ns)
        # Equal rates differ by jitter: the lead must not go to and fro.
        leads = 0 if self._sides[0].period_ns < 0.9 * self._sides[1].period_ns else 1
        match = self._pair(leads, now_ns)
        if match is not None:
            self._misfits_since_ns = None
        else:
            match = self._without_lost(leads, is_lost) or self._without_partner(leads, now_ns)
        if match is not None:
            self._wake_ns = now_ns
            for side, frame in zip(self._sides, match, strict=True):
                if frame is not None:
                    side.give(frame)
        return match

    def _pair(self, leads: int, now_ns: int) -> Match | None:
        leading, other = self._sides[leads], self._sides[1 - leads]
        partners = [kept.frame for kept in other.kept]
        # A frame must not grow too old while it waits.
        lag_ns = min(other.lag_ns, self.max_age_ns * 3 // 4)
        self._misfit = None
        for kept in reversed(leading.kept):
            frame = kept.frame
            if leading.is_given(frame):
                break
            ripe_ns = max(kept.arrival_ns, frame.time_ns + lag_ns)
            if now_ns < ripe_ns:
                self._wake_ns = ripe_ns
                continue
            partner = nearest_of(partners, frame, self.max_skew_ns)
            if partner is None:
                self._misfit = self._misfit or frame
                continue
            due_ns = other.kept[-1].arrival_ns + other.period_ns
            due_skew_ns = abs(partners[-1].time_ns + other.period_ns - frame.time_ns)
            patient_ns = ripe_ns + leading.period_ns // 2
            if due_skew_ns < abs(partner.time_ns - frame.time_ns) and max(due_ns, now_ns + 1) <= patient_ns:
                self._wake_ns = patient_ns
                return None
            return (frame, partner) if leads == 0 else (partner, frame)
        return None

    def _without_lost(self, leads: int, is_lost: tuple[bool, bool]) -> Match | None:
        for side in (leads, 1 - leads):
            kept = self._sides[side].kept
            if is_lost[1 - side] and kept and not self._sides[side].is_given(kept[-1].frame):
                # What came before a source was lost must not bring it back for an instant.
                self._sides[1 - side].forget_all()
                return _alone(kept[-1].frame, side)
        return None

    def _without_partner(self, leads: int, now_ns: int) -> Match | None:
        if self._misfit is None:
            return None
        if self._misfits_since_ns is None:
            self._misfits_since_ns = now_ns
        patient_ns = self._misfits_since_ns + self.max_age_ns
        if now_ns >= patient_ns:
            return _alone(self._misfit, leads)
        self._wake_ns = min(self._wake_ns or patient_ns, patient_ns)
        return None


def _alone(frame: CapturedFrame, side: int) -> Match:
    return (frame, None) if side == 0 else (None, frame)
