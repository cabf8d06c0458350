"""The labelled renders: the same people in five skin tones, so that nothing but tone differs between two bins.

Rendered by models/tiny-base/build, which needs numba; a shard that exists is not rendered again.
"""

import dataclasses
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "models" / "tiny-base" / "build"
TONES = ("pale", "fair", "tan", "brown", "dark")
# Seen by no base, no persona and no other evaluation (models/tiny-base/build/seeds.toml, evaluate_base.py).
FIRST_PERSON = 940_000
REFERENCES, TESTS = 12, 25
# What only the renderer can do, on the first pictures of the tests: its own smoothing, gloss, another tone.
RENDERED = {
    "plastic .5": {"smoothness": 0.5},
    "plastic 1": {"smoothness": 1.0},
    "oily x2.5": {"oil": 2.5},
    "tone +.1": {"melanin": 0.1},
    "tone -.1": {"melanin": -0.1},
}
RENDERED_TESTS = 2


@dataclass(frozen=True)
class Shard:
    """One person in one tone.

    Args:
        person: seed of the person.
        tone: one of ``TONES``.
        references: u8[REFERENCES, 128, 128, 3], sRGB.
        tests: u8[TESTS, 128, 128, 3].
        rendered: u8[RENDERED_TESTS, 128, 128, 3] by name of ``RENDERED``: the first tests, changed.
    """

    person: int
    tone: str
    references: np.ndarray
    tests: np.ndarray
    rendered: dict[str, np.ndarray]


def render_all(mpfb2: Path, folder: Path, people: int, workers: int) -> list[Path]:
    """Render what is missing and return the path of every shard, tones of one person beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(FIRST_PERSON + number, tone) for number in range(people) for tone in TONES]
    paths = [folder / f"{person}-{tone}.npz" for person, tone in jobs]
    missing = [(mpfb2, path, *job) for path, job in zip(paths, jobs, strict=True) if not path.exists()]
    with ProcessPoolExecutor(workers) as pool:
        for number, path in enumerate(pool.map(_render_shard, missing), 1):
            print(f"rendered {path.name} ({number} of {len(missing)})", flush=True)
    return paths


def read_shard(path: Path) -> Shard:
    """Read one shard."""
    with np.load(path, allow_pickle=False) as data:
        rendered = {name: data[name] for name in RENDERED}
        return Shard(int(data["person"]), str(data["tone"]), data["references"], data["tests"], rendered)


def _render_shard(job: tuple[Path, Path, int, str]) -> Path:
    mpfb2, path, seed, tone = job
    if str(BUILD) not in sys.path:
        sys.path.insert(0, str(BUILD))
    from mesh import load_head
    from person import sample_person
    from render import render
    from scene import plastic, sample_scene

    mesh = load_head(mpfb2)
    sampled = sample_person(mesh, seed)
    # Where in its fifth of the scale the person lies is the person's own, the same in every tone.
    within = float(np.random.default_rng([20260105, seed]).uniform())
    person = dataclasses.replace(sampled, melanin=(TONES.index(tone) + within) / len(TONES))

    def picture(index: int, smoothness: float = 0.0, **changed: float) -> np.ndarray:
        scene = sample_scene(person, index)
        scene = plastic(scene, smoothness) if smoothness else scene
        return np.asarray(render(mesh, dataclasses.replace(person, **changed), scene))

    tests = range(REFERENCES, REFERENCES + TESTS)
    content: dict[str, Any] = {
        "person": seed,
        "tone": tone,
        "references": np.array([picture(index) for index in range(REFERENCES)]),
        "tests": np.array([picture(index) for index in tests]),
    }
    for name, change in RENDERED.items():
        given = dict(change)
        if "oil" in given:
            given["oil"] *= person.oil
        if "melanin" in given:
            given["melanin"] = float(np.clip(person.melanin + given["melanin"], 0, 1))
        content[name] = np.array([picture(index, **given) for index in tests[:RENDERED_TESTS]])
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **content)
    os.replace(partial, path)
    return path
