"""What one picture shows: pose, expression, light and background of a `Scene`, drawn at random, and its caption.

Knows nothing of rendering: the words of captions and what they stand for are all here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from person import Person

BACKGROUNDS = {  # sRGB in 0..1
    "red": (0.62, 0.13, 0.13),
    "blue": (0.14, 0.30, 0.66),
    "green": (0.17, 0.48, 0.22),
    "yellow": (0.85, 0.70, 0.22),
    "grey": (0.50, 0.50, 0.51),
    "white": (0.90, 0.90, 0.89),
    "black": (0.05, 0.05, 0.06),
}
# Shares of the mesh's expression targets, 0..1.
EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smiling": {"mouth-corner-puller": 1.0, "mouth-part-later": 0.55, "eye-left-slit": 0.35, "eye-right-slit": 0.35},
    "surprised": {
        "mouth-open": 0.62,
        "eyebrows-left-up": 1.0,
        "eyebrows-right-up": 1.0,
        "eye-left-opened-up": 0.8,
        "eye-right-opened-up": 0.8,
    },
    "frowning": {
        "eyebrows-left-down": 1.0,
        "eyebrows-right-down": 1.0,
        "mouth-depression": 0.8,
        "mouth-compression": 0.4,
        "eye-left-slit": 0.3,
        "eye-right-slit": 0.3,
    },
}
FACINGS = ("left", "front", "right")
LIGHTS = ("soft", "hard")


@dataclass(frozen=True)
class Scene:
    """What varies between two pictures of one person.

    `yaw`, `pitch`, `roll` and `gaze` (sideways, up) are radians; a positive yaw turns the nose to the picture's right.
    `strength` 0..1 scales the expression. `background_shade` in -1..1: slope to the right and down; the other two are
    drawn and not used. `key` is the direction the light comes from (right, up, towards the viewer), of any length. `exposure` and
    `scale` are factors around 1, `warmth` moves red against blue by that share, `shift` (right, down) is in picture
    widths. `smoothness` 0 = skin, 1 = plastic.
    """

    yaw: float
    pitch: float
    roll: float
    expression: str
    strength: float
    background: str
    background_shade: tuple[float, float, float, float]
    light: str
    key: tuple[float, float, float]
    exposure: float
    warmth: float
    scale: float
    shift: tuple[float, float]
    gaze: tuple[float, float]
    smoothness: float = 0.0

    @property
    def facing(self) -> str:
        """Caption word of the pose: the side of the picture the nose points to."""
        return "right" if self.yaw > 0.19 else "left" if self.yaw < -0.19 else "front"


def sample_scene(person: Person, index: int) -> Scene:
    """Picture number `index` of `person`, a pure function of both."""
    rng = np.random.default_rng([20260102, person.seed, index])
    facing = FACINGS[int(rng.integers(3))]
    yaw = {"left": -1, "front": 0, "right": 1}[facing] * rng.uniform(0.26, 0.55) + rng.uniform(-0.1, 0.1) * (
        facing == "front"
    )
    light = LIGHTS[int(rng.integers(2))]
    side = float(rng.uniform(0.25, 1.0) * rng.choice([-1, 1]))
    return Scene(
        yaw=float(yaw),
        pitch=float(rng.normal(0, 0.07)),
        roll=float(rng.normal(0, 0.04)),
        expression=str(rng.choice(list(EXPRESSIONS), p=[0.4, 0.3, 0.15, 0.15])),
        strength=float(rng.uniform(0.7, 1.0)),
        background=str(rng.choice(list(BACKGROUNDS))),
        background_shade=tuple(float(x) for x in rng.uniform(-1, 1, 4)),  # type: ignore[arg-type]
        light=light,
        key=(side, float(rng.uniform(0.15, 0.75)), float(rng.uniform(0.6, 1.0))),
        exposure=float(rng.uniform(0.85, 1.2)),
        warmth=float(rng.normal(0, 0.05)),
        scale=float(rng.uniform(0.97, 1.04)),
        shift=tuple(float(x) for x in rng.normal(0, 0.008, 2)),  # type: ignore[arg-type]
        gaze=tuple(float(x) for x in rng.normal(0, 0.08, 2)),  # type: ignore[arg-type]
    )


def caption(person: Person, scene: Scene, subject: str = "person", traits: bool = True) -> str:
    """The training caption; without `traits` it names only what varies between pictures, as for a persona."""
    who = f"{person.age_word} {person.tone_word} {subject}, {person.hair_words}" if traits else subject
    return (
        f"photo of a {who}, {scene.expression}, facing {scene.facing}, {scene.light} light, "
        f"{scene.background} background"
    )


def plastic(scene: Scene, smoothness: float) -> Scene:
    """The same picture with the skin smoothed: what a LoRA trained on retouched photographs would be shown."""
    return replace(scene, smoothness=smoothness)
