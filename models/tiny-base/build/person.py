"""Sampling people: everything about a synthetic person that stays the same from picture to picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mesh import HeadMesh

HAIR_COLOURS = {  # linear RGB of a strand
    "black": (0.012, 0.010, 0.010),
    "brown": (0.075, 0.036, 0.016),
    "auburn": (0.17, 0.045, 0.018),
    "blond": (0.42, 0.27, 0.11),
    "grey": (0.33, 0.33, 0.34),
}
HAIR_STYLES = ("bald", "cropped", "short", "curly", "long")
IRIS = ((0.06, 0.028, 0.012), (0.16, 0.075, 0.03), (0.11, 0.16, 0.24), (0.10, 0.17, 0.09), (0.16, 0.18, 0.19))
# Skin along melanin 0..1, linear RGB; interpolated from reflectances measured by eye on the rendered result.
SKIN = np.array(
    [[0.66, 0.42, 0.33], [0.52, 0.30, 0.205], [0.36, 0.185, 0.105], [0.185, 0.083, 0.043], [0.068, 0.030, 0.018]]
)


@dataclass(frozen=True)
class Person:
    """One synthetic identity. Colours are linear RGB in 0..1, angles radians, `melanin` and `age` 0..1."""

    seed: int
    shape: dict[str, float]
    melanin: float
    undertone: tuple[float, float, float]
    age: float
    male: float
    hair_style: str
    hair_colour: str
    hair_rgb: tuple[float, float, float]
    hairline: tuple[float, float, float, float, float]
    hair_volume: float
    hair_length: float
    parting: float
    iris: tuple[float, float, float]
    lip_redness: float
    brow: tuple[float, float, float, float]
    freckles: float
    moles: float
    blotches: float
    pores: float
    oil: float
    beard: float
    blush: float

    @property
    def skin_rgb(self) -> np.ndarray:
        """Base skin reflectance f64[3], linear RGB."""
        x = self.melanin * (len(SKIN) - 1)
        i = min(int(x), len(SKIN) - 2)
        return (SKIN[i] * (1 - (x - i)) + SKIN[i + 1] * (x - i)) * np.array(self.undertone)

    @property
    def tone_word(self) -> str:
        """Caption word of the skin tone."""
        return ("pale", "fair", "tan", "brown", "dark")[min(int(self.melanin * 5), 4)]

    @property
    def age_word(self) -> str:
        """Caption word of the age."""
        return "old" if self.age > 0.45 else "young"

    @property
    def hair_words(self) -> str:
        """Caption words of the hair."""
        if self.hair_style == "bald":
            return "bald"
        return f"{self.hair_style} {self.hair_colour} hair"


def sample_person(mesh: HeadMesh, seed: int) -> Person:
    """The person of `seed`: same seed, same person, independent of every other seed."""
    rng = np.random.default_rng([20260101, seed])
    ancestry = rng.dirichlet([0.55] * 3)
    male = float(np.clip(rng.choice([0.0, 1.0]) + rng.normal(0, 0.13), 0, 1))
    age = float(rng.choice([rng.uniform(0, 0.25), rng.uniform(0.2, 0.9)], p=[0.65, 0.35]))
    shape: dict[str, float] = {}
    for name, share in zip(("caucasian", "african", "asian"), ancestry, strict=True):
        for sex, sex_share in (("male", male), ("female", 1 - male)):
            for years, years_share in (("young", 1 - age), ("old", age)):
                shape[f"macrodetails/{name}-{sex}-{years}"] = float(share * sex_share * years_share)
    weight = float(np.clip(rng.normal(0, 0.45), -0.8, 0.9))
    for sex, sex_share in (("male", male), ("female", 1 - male)):
        for years, years_share in (("young", 1 - age), ("old", age)):
            share = sex_share * years_share
            other = "maxweight" if weight > 0 else "minweight"
            shape[f"macrodetails/universal-{sex}-{years}-averagemuscle-averageweight"] = share * (1 - abs(weight))
            shape[f"macrodetails/universal-{sex}-{years}-averagemuscle-{other}"] = share * abs(weight)
    for name, opposite in mesh.face_axes():
        amount = float(np.clip(rng.normal(0, 0.36), -0.9, 0.9))
        if opposite is None:
            amount = abs(amount) * float(rng.random() < 0.35) * 0.8
        chosen = name if amount >= 0 else (opposite or name)
        for side in (chosen, chosen.replace("/l-", "/r-")) if "/l-" in chosen else (chosen,):
            shape[side] = abs(amount)
    melanin = float(np.clip(0.1 + 0.75 * ancestry[1] + 0.12 * ancestry[2] + rng.normal(0, 0.13), 0, 1))
    dark_hair = melanin > 0.5 or ancestry[2] > 0.6
    colours = list(HAIR_COLOURS)
    chances = [0.72, 0.18, 0.03, 0.02, 0.05] if dark_hair else [0.2, 0.32, 0.17, 0.24, 0.07]
    if age > 0.5:
        chances = [p * 0.45 for p in chances[:4]] + [1 - 0.45 * sum(chances[:4])]
    colour = str(rng.choice(colours, p=np.array(chances) / sum(chances)))
    styles = [0.16, 0.27, 0.33, 0.16, 0.08] if male > 0.5 else [0.02, 0.08, 0.24, 0.22, 0.44]
    style = str(rng.choice(HAIR_STYLES, p=styles))
    receding = rng.beta(1.2, 4) * male
    return Person(
        seed=seed,
        shape=shape,
        melanin=melanin,
        age=age,
        male=male,
        undertone=tuple(float(x) for x in 1 + rng.normal(0, [0.05, 0.045, 0.07])),  # type: ignore[arg-type]
        hair_style=style,
        hair_colour=colour,
        hair_rgb=tuple(float(x) for x in np.array(HAIR_COLOURS[colour]) * rng.uniform(0.75, 1.35)),  # type: ignore[arg-type]
        hairline=(
            float(rng.uniform(1.27, 1.45) - 0.3 * receding),
            float(rng.uniform(1.36, 1.52) - 0.5 * receding),
            float(rng.uniform(1.72, 1.92)),
            float(rng.uniform(2.4, 2.6)),
            float(rng.choice([0, rng.uniform(-0.05, 0.1)])),
        ),
        hair_volume=float(rng.uniform(0.6, 1.4)),
        hair_length=float(rng.uniform(0, 1)),
        parting=float(rng.choice([9.0, rng.uniform(-0.7, 0.7)], p=[0.6, 0.4])),
        iris=tuple(
            float(x)
            for x in np.array(
                IRIS[
                    int(rng.choice(5, p=[0.7, 0.24, 0.02, 0.02, 0.02] if dark_hair else [0.22, 0.24, 0.26, 0.16, 0.12]))
                ]
            )
            * rng.uniform(0.8, 1.25)
        ),  # type: ignore[arg-type]
        lip_redness=float(rng.uniform(0.3, 1.1) * (1.25 - 0.45 * male)),
        brow=(
            float(rng.uniform(0.112, 0.15)),
            float(rng.uniform(0.55, 1.0) * (0.75 + 0.6 * male)),
            float(rng.uniform(0.82, 1.12)),
            float(rng.uniform(-0.02, 0.018)),
        ),
        freckles=float(rng.choice([0, rng.uniform(0.25, 1)], p=[0.6, 0.4]) * (1 - 0.5 * melanin)),
        moles=float(rng.choice([0, rng.uniform(0.3, 1)], p=[0.5, 0.5])),
        blotches=float(rng.uniform(0.5, 1.5)),
        pores=float(rng.uniform(0.75, 1.3)),
        oil=float(rng.uniform(0.3, 1.0)),
        beard=float(rng.choice([0, rng.uniform(0.15, 0.95)], p=[0.4, 0.6]) * (male > 0.6)),
        blush=float(rng.uniform(0.2, 1.0)),
    )
