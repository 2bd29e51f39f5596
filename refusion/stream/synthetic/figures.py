"""Who moves through the scene: people, a dog, a cat and a car, drawn on sprites."""

from __future__ import annotations

import math

from refusion.stream.synthetic.layout import Bgr, Walker
from refusion.stream.synthetic.sprite import Point, Sprite

_SKIN: Bgr = (0.20, 0.27, 0.40)
_HAIR: Bgr = (0.02, 0.02, 0.03)
_SHOES: Bgr = (0.015, 0.015, 0.015)
_STRIDE_M = 1.45
_GLASS: Bgr = (0.015, 0.015, 0.015)


def _reach(start: Point, length: float, angle: float) -> Point:
    """Return the end of a limb that hangs from start; angle 0 points down, positive forwards."""
    return start[0] + length * math.sin(angle), start[1] - length * math.cos(angle)


def _dimmed(colour: Bgr, factor: float) -> Bgr:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _leg_angles(phase: float, swing: float) -> tuple[float, float]:
    """Return thigh and shin angles: the knee bends while the leg swings forwards."""
    thigh = 0.46 * swing * math.sin(phase) + 0.04
    knee = 0.10 + 0.85 * swing * max(0.0, math.cos(phase)) ** 1.5
    return thigh, thigh - knee


def draw_person(on: Sprite, walker: Walker, time_s: float) -> None:
    """Draw a person in stride, or shifting weight where they stand."""
    h, w = walker.height_m, walker.warmth
    walking = walker.speed_m_s > 0
    phase = 2 * math.pi * (walker.offset_m + walker.speed_m_s * time_s) / _STRIDE_M
    swing = 1.0 if walking else 0.12
    if not walking:
        phase = 0.9 * math.sin(0.8 * time_s)
    legs = [_leg_angles(phase, swing), _leg_angles(phase + math.pi, swing)]
    thigh, shin = 0.245 * h, 0.246 * h
    # The hip rides as high as the longer-reaching leg lets it: one foot is always on the ground.
    hip_y = 0.035 * h + max(thigh * math.cos(a) + shin * math.cos(b) for a, b in legs)
    hip: Point = (0.0, hip_y)
    shoulder: Point = (0.035 * h if walking else 0.0, hip_y + 0.285 * h)
    _arm(on, walker, shoulder, phase + math.pi, swing, far=True)
    for (a, b), far in ((legs[1], True), (legs[0], False)):
        shade = 0.7 if far else 1.0
        knee = _reach(hip, thigh, a)
        ankle = _reach(knee, shin, b)
        on.capsule(knee, ankle, (0.034 * h, 0.024 * h), _dimmed(walker.trousers, shade), 172 * w - 12 * far)
        on.capsule(hip, knee, (0.052 * h, 0.038 * h), _dimmed(walker.trousers, shade), 184 * w - 12 * far)
        toe = (ankle[0] + 0.085 * h * math.cos(b), ankle[1] - 0.018 * h + 0.085 * h * math.sin(b))
        on.capsule((ankle[0], ankle[1] - 0.012 * h), toe, (0.022 * h, 0.016 * h), _SHOES, 128 * w)
    on.capsule(hip, shoulder, (0.070 * h, 0.078 * h), walker.coat, 182 * w)
    on.capsule(
        (0.0, hip_y + 0.02 * h), (0.02 * h, hip_y + 0.17 * h), (0.055 * h, 0.05 * h), walker.coat, 194 * w
    )
    neck = (shoulder[0] + 0.012 * h, shoulder[1] + 0.075 * h)
    head = (shoulder[0] + 0.026 * h, shoulder[1] + 0.140 * h)
    on.capsule(shoulder, neck, (0.035 * h, 0.030 * h), _SKIN, 228 * w)
    on.ellipse((head[0] - 0.008 * h, head[1] + 0.010 * h), (0.060 * h, 0.072 * h), _HAIR, 204 * w)
    on.ellipse((head[0] + 0.012 * h, head[1] - 0.012 * h), (0.047 * h, 0.056 * h), _SKIN, 240 * w)
    _arm(on, walker, shoulder, phase, swing, far=False)


def _arm(on: Sprite, walker: Walker, shoulder: Point, phase: float, swing: float, *, far: bool) -> None:
    h, w = walker.height_m, walker.warmth
    coat = _dimmed(walker.coat, 0.7 if far else 1.25)
    upper = -0.48 * swing * math.sin(phase)
    if walker.with_dog and not far:
        upper = 0.45 + 0.05 * math.sin(phase)
    elbow = _reach((shoulder[0], shoulder[1] - 0.01 * h), 0.165 * h, upper)
    wrist = _reach(elbow, 0.145 * h, upper + 0.28 + 0.22 * swing * max(0.0, -math.sin(phase)))
    on.capsule((shoulder[0], shoulder[1] - 0.01 * h), elbow, (0.034 * h, 0.027 * h), coat, 176 * w - 10 * far)
    on.capsule(elbow, wrist, (0.027 * h, 0.021 * h), coat, 168 * w - 10 * far)
    on.ellipse(wrist, (0.024 * h, 0.024 * h), _SKIN, 222 * w)


def draw_dog(on: Sprite, walker: Walker, time_s: float) -> None:
    """Draw a dog on its leash, ahead of the person who walks it."""
    distance = walker.offset_m + walker.speed_m_s * time_s
    phase = 2 * math.pi * distance / 0.75
    x, fur = 1.15, (0.05, 0.07, 0.10)
    hand = (0.27 * walker.height_m, 0.52 * walker.height_m)
    on.capsule(hand, (x + 0.22, 0.52), (0.008, 0.008), (0.03, 0.03, 0.10), 96)
    for at, offset in ((0.24, 0.0), (-0.26, math.pi), (0.20, math.pi), (-0.30, 0.0)):
        lean = 0.42 * math.sin(phase + offset)
        knee = _reach((x + at, 0.40), 0.20, lean)
        paw = _reach(knee, 0.185, lean - 0.5 * max(0.0, math.cos(phase + offset)))
        on.capsule((x + at, 0.40), knee, (0.070, 0.045), fur, 196)
        on.capsule(knee, paw, (0.040, 0.028), fur, 176)
    bounce = 0.012 * math.sin(2 * phase)
    tail = 0.35 * math.sin(9 * time_s)
    on.capsule((x - 0.33, 0.50), (x - 0.55, 0.66 + 0.06 * tail), (0.035, 0.015), fur, 172)
    on.capsule((x - 0.28, 0.46 + bounce), (x + 0.26, 0.48 + bounce), (0.115, 0.135), fur, 206)
    on.capsule((x + 0.28, 0.52 + bounce), (x + 0.42, 0.68 + bounce), (0.090, 0.080), fur, 212)
    on.capsule((x + 0.44, 0.70 + bounce), (x + 0.62, 0.655 + bounce), (0.085, 0.042), fur, 228)
    on.ellipse((x + 0.655, 0.655 + bounce), (0.022, 0.022), _SHOES, 150)
    on.capsule((x + 0.37, 0.78 + bounce), (x + 0.33, 0.64 + bounce), (0.030, 0.042), _dimmed(fur, 0.6), 190)


def draw_cat(on: Sprite, time_s: float) -> None:
    """Draw a sitting cat that swings its tail and turns its head."""
    fur: Bgr = (0.030, 0.034, 0.040)
    swing = math.sin(1.7 * time_s)
    tip = (-0.33, 0.10 + 0.10 * swing)
    on.capsule((-0.12, 0.045), (-0.25, 0.035), (0.034, 0.030), fur, 186)
    on.capsule((-0.25, 0.035), tip, (0.030, 0.020), fur, 172)
    on.capsule((-0.05, 0.13), (0.05, 0.31), (0.135, 0.082), fur, 212)
    on.capsule((0.09, 0.27), (0.115, 0.03), (0.042, 0.030), fur, 204)
    on.capsule((0.05, 0.25), (0.06, 0.03), (0.042, 0.030), _dimmed(fur, 0.8), 196)
    x, y = 0.085 + 0.018 * math.sin(0.6 * time_s), 0.42
    on.ellipse((x, y), (0.088, 0.078), fur, 226)
    for side in (-1.0, 1.0):
        ear = [(x + side * 0.080, y + 0.03), (x + side * 0.020, y + 0.07), (x + side * 0.068, y + 0.145)]
        on.polygon(ear, fur, 238)
    for side in (-0.5, 1.0):
        on.ellipse((x + side * 0.036, y + 0.008), (0.015, 0.012), (0.25, 0.75, 0.55), 246)


def draw_car(on: Sprite, car: Walker) -> None:
    """Draw a car in profile, driving forwards (to the right), its middle over the foot point."""
    body, dark = car.coat, _SHOES
    on.polygon([(-2.05, 0.28), (2.05, 0.28), (2.05, 0.18), (-2.05, 0.18)], dark, 104)
    hull = [
        (-2.12, 0.30),
        (-2.16, 0.62),
        (-2.02, 0.90),
        (-1.30, 0.98),
        (-0.80, 1.40),
        (0.45, 1.42),
        (1.02, 0.99),
        (1.86, 0.84),
        (2.14, 0.64),
        (2.14, 0.30),
    ]
    on.polygon(hull, body, 74)
    on.polygon([(-2.13, 0.30), (-2.16, 0.58), (2.14, 0.58), (2.14, 0.30)], _dimmed(body, 0.6), 82)
    on.polygon(
        [(1.00, 0.95), (1.86, 0.82), (2.12, 0.62), (2.12, 0.40), (1.05, 0.45)], _dimmed(body, 1.1), 168
    )
    on.polygon([(-1.12, 0.97), (-0.74, 1.33), (-0.20, 1.34), (-0.20, 0.97)], _GLASS, 52)
    on.polygon([(-0.12, 0.97), (-0.12, 1.34), (0.40, 1.35), (0.86, 0.99)], _GLASS, 52)
    for axle in (-1.32, 1.36):
        on.ellipse((axle, 0.33), (0.36, 0.36), dark, 88)
        on.ellipse((axle, 0.32), (0.31, 0.31), dark, 142)
        on.ellipse((axle, 0.32), (0.17, 0.17), (0.12, 0.12, 0.12), 186)
    on.ellipse((-2.0, 0.24), (0.12, 0.06), dark, 214)
