"""Render strangers: `make_impostors.py MPFB2 OUT` writes one PNG an identity of seeds.toml's impostors.

`lifeos calibrate PERSONA --impostors OUT` then keeps their embeddings beside the persona; the pictures need not ship.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

from mesh import load_head
from person import sample_person
from render import render
from scene import sample_scene


def main() -> None:
    """Render what is missing."""
    from PIL import Image

    first, end = tomllib.loads((Path(__file__).parent / "seeds.toml").read_text())["identities"]["impostors"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mpfb2", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    mesh = load_head(arguments.mpfb2)
    for seed in range(first, end):
        path = arguments.out / f"{seed}.png"
        if not path.exists():
            person = sample_person(mesh, seed)
            Image.fromarray(render(mesh, person, sample_scene(person, 0))).save(path)


if __name__ == "__main__":
    main()
