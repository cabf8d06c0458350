"""The renders of the battery: the same people in five skin tones, so that nothing but tone differs between two bins.

``python -m benchmarks.skin_battery.renders MPFB2 WORK [--people 1060] [--workers 2]`` draws them with the renderer of
models/tiny-base/build, which needs numba. A shard that exists is not drawn again: a killed run goes on with the same
command.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import positive

BUILD = Path(__file__).resolve().parents[2] / "models" / "tiny-base" / "build"
# Individual typology angle of the skin's reflectance in degrees, from the limit up to the one before: the classes of
# Chardon, Cretois and Hourseau (1991) and Del Bino and Bernerd (2013), "very light" and "light" in one.
TONES: dict[str, tuple[float, float]] = {
    "light": (41.0, 90.0),
    "intermediate": (28.0, 41.0),
    "tan": (10.0, 28.0),
    "brown": (-30.0, 10.0),
    "dark": (-90.0, -30.0),
}
# Seen by no base, no persona and no other evaluation (models/tiny-base/build/seeds.toml, evaluate_base.py).
FIRST_PERSON = 940_000
PEOPLE_A_SHARD = 10
# What only the renderer can do, for the first person of each shard: its own smoothing, gloss, another tone.
CHANGES = ("plastic skin .5", "plastic skin 1", "oil x2.5", "tone +10 degrees", "tone -10 degrees")
_OIL = 2.5
_TONE_STEP = 10.0
_MELANIN = np.linspace(0.0, 1.0, 401)
# Linear sRGB to CIE XYZ under D65, as scikit-image has it.
_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])


@dataclass(frozen=True, eq=False)
class Shard:
    """Ten people in five tones, one picture each: the scene is the person's own, the same in every tone.

    Attributes:
        people: i64 ``[n]``, identity numbers.
        tones: names of ``TONES``, one a picture.
        ita: f64 ``[n]``, degrees: of the reflectance, whatever the light.
        pictures: u8 ``[n, 128, 128, 3]``, sRGB.
        changed: u8 ``[5, 128, 128, 3]`` by name of ``CHANGES``: the first person in every tone.
    """

    people: NDArray[np.int64]
    tones: list[str]
    ita: NDArray[np.float64]
    pictures: NDArray[np.uint8]
    changed: dict[str, NDArray[np.uint8]]


def render_all(mpfb2: Path, work: Path, people: int, workers: int) -> list[Path]:
    """Draw what is missing and return the path of every shard."""
    folder = work / "renders"
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(FIRST_PERSON, FIRST_PERSON + people, PEOPLE_A_SHARD)
    paths = [folder / f"{first}.npz" for first in firsts]
    missing = [(mpfb2, path, first) for path, first in zip(paths, firsts, strict=True) if not path.exists()]
    with ProcessPoolExecutor(workers) as pool:
        for number, path in enumerate(pool.map(_render_shard, missing), 1):
            print(f"{path.name} drawn ({number} of {len(missing)})", flush=True)
    return paths


def read_shard(path: Path) -> Shard:
    """Read one shard."""
    with np.load(path, allow_pickle=False) as data:
        changed = {name: data[name] for name in CHANGES}
        return Shard(data["people"], [str(tone) for tone in data["tones"]], data["ita"], data["pictures"], changed)


def typology_angles(reflectance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Individual typology angle in degrees of linear RGB ``[n, 3]``, 0..1."""
    from skimage.color import xyz2lab

    lab = xyz2lab((reflectance @ _TO_XYZ.T)[None])[0]
    return np.asarray(np.degrees(np.arctan2(lab[:, 0] - 50.0, lab[:, 2])))


def _render_shard(job: tuple[Path, Path, int]) -> Path:
    mpfb2, path, first = job
    if str(BUILD) not in sys.path:
        sys.path.insert(0, str(BUILD))
    from mesh import load_head
    from person import sample_person
    from render import render
    from scene import plastic, sample_scene

    mesh = load_head(mpfb2)
    content: dict[str, list[Any]] = {key: [] for key in ("people", "tones", "ita", "pictures", *CHANGES)}
    for seed in range(first, first + PEOPLE_A_SHARD):
        sampled = sample_person(mesh, seed)
        scene = sample_scene(sampled, 0)
        tones = [dataclasses.replace(sampled, melanin=float(melanin)) for melanin in _MELANIN]
        angles = typology_angles(np.array([person.skin_rgb for person in tones]))
        # Where in a bin the person lies is the person's own, the same in every tone.
        within = float(np.random.default_rng([20260105, seed]).uniform())
        for tone, (low, high) in TONES.items():
            inside = np.flatnonzero((angles >= low) & (angles < high))
            chosen = int(inside[int(within * len(inside))])
            content["people"].append(seed)
            content["tones"].append(tone)
            content["ita"].append(angles[chosen])
            content["pictures"].append(render(mesh, tones[chosen], scene))
            if seed != first:
                continue
            content["plastic skin .5"].append(render(mesh, tones[chosen], plastic(scene, 0.5)))
            content["plastic skin 1"].append(render(mesh, tones[chosen], plastic(scene, 1.0)))
            oily = dataclasses.replace(tones[chosen], oil=tones[chosen].oil * _OIL)
            content["oil x2.5"].append(render(mesh, oily, scene))
            for sign in ("+", "-"):
                goal = angles[chosen] + float(f"{sign}{_TONE_STEP}")
                other = tones[int(np.argmin(np.abs(angles - goal)))]
                content[f"tone {sign}10 degrees"].append(render(mesh, other, scene))
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **{name: np.array(values) for name, values in content.items()})
    os.replace(partial, path)
    return path


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skin_battery.renders", description=__doc__)
    parser.add_argument("mpfb2", type=Path, help="the CC0 head data, as models/tiny-base/build takes it")
    parser.add_argument("work", type=Path, help="work folder outside the tree")
    parser.add_argument("--people", type=positive, default=1060)
    parser.add_argument("--workers", type=positive, default=2)
    options = parser.parse_args(arguments)
    render_all(options.mpfb2, options.work, options.people, options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
