"""Render identities into resumable shards: `make_dataset.py MPFB2_FOLDER OUT FIRST END EACH [--workers N]`.

A shard holds 50 identities: `images` u8[n,128,128,3] sRGB, `traits` (JSON per image: what a caption may name) and
`identity` i64[n]. A shard that exists is not rendered again, so a killed run goes on with the same command.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

SHARD = 50


def traits(person, scene) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """Everything a caption may say about one picture."""
    return {
        "age": person.age_word,
        "tone": person.tone_word,
        "sex": "man" if person.male > 0.5 else "woman",
        "hair": person.hair_words,
        "expression": scene.expression,
        "facing": scene.facing,
        "light": scene.light,
        "background": scene.background,
    }


def render_shard(mpfb2: str, out: str, first: int, end: int, each: int) -> str:
    """Render identities first..end-1, `each` pictures an identity, and publish the shard in one rename."""
    from mesh import load_head
    from person import sample_person
    from render import render
    from scene import sample_scene

    target = Path(out) / f"{first:06d}-{end:06d}-{each}.npz"
    if target.exists():
        return f"{target.name} exists"
    mesh = load_head(Path(mpfb2))
    images, facts, identity = [], [], []
    for seed in range(first, end):
        person = sample_person(mesh, seed)
        for index in range(each):
            scene = sample_scene(person, index)
            images.append(render(mesh, person, scene))
            facts.append(json.dumps(traits(person, scene), sort_keys=True))
            identity.append(seed)
    partial = target.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez(file, images=np.array(images), traits=np.array(facts), identity=np.array(identity))
    os.replace(partial, target)
    return f"{target.name} rendered"


def main() -> None:
    """Parse the command line and render what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mpfb2", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int)
    parser.add_argument("each", type=int)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.workers) as pool:
        jobs = [
            pool.submit(
                render_shard,
                str(arguments.mpfb2),
                str(arguments.out),
                first,
                min(first + SHARD, arguments.end),
                arguments.each,
            )
            for first in range(arguments.first, arguments.end, SHARD)
        ]
        for job in as_completed(jobs):
            print(job.result(), flush=True)


if __name__ == "__main__":
    main()
