"""Make a persona folder of one rendered identity: `make_persona.py MPFB2 FOLDER --identity N --trigger WORD --name NAME`.

Writes dataset/ (PNG and caption each), references/ (PNG, other pictures of the same identity), prompts.toml and, where
missing, persona.toml and recipe.toml. With `--smoothness 1` the training images are plastic: the recipe of a LoRA that
must be refused. Existing pictures are replaced, so that the folder is a pure function of the arguments.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mesh import load_head
from person import sample_person
from render import render
from scene import BACKGROUNDS, EXPRESSIONS, FACINGS, LIGHTS, caption, plastic, sample_scene

HERE = Path(__file__).parent


def write_pictures(mesh, identity: int, folder: Path, indices: Iterable[int], subject: str | None, smoothness: float) -> None:  # type: ignore[no-untyped-def]
    """Render picture `indices` of `identity`, number i as i - first + 1 in four digits, captions beside them where `subject` is given."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    person = sample_person(mesh, identity)
    numbers = list(indices)
    for index in numbers:
        number = index - numbers[0] + 1
        scene = sample_scene(person, index)
        picture = render(mesh, person, plastic(scene, smoothness) if smoothness else scene)
        Image.fromarray(picture).save(folder / f"{number:04d}.png", optimize=True)
        if subject:
            (folder / f"{number:04d}.txt").write_text(
                caption(person, scene, subject, traits=False) + "\n", encoding="utf-8"
            )


def write_prompts(path: Path) -> None:
    """Set A (8 prompts, for choosing) and set B (24, for release), every expression, pose, light and background in B."""
    rng = np.random.default_rng(20260104)
    lines = ["# Set A is for choosing among checkpoints and strengths, set B for release alone.", ""]
    texts: list[str] = []
    for letter, count in (("a", 8), ("b", 24)):
        backgrounds = [str(x) for _ in range(4) for x in rng.permutation(list(BACKGROUNDS))]
        for n in range(count):
            expression = list(EXPRESSIONS)[(n + n // 4) % 4]
            first = list(BACKGROUNDS).index(backgrounds[n])
            either = [
                f"photo of a {{trigger}} {{class}}, {expression}, facing {FACINGS[n % 3]}, "
                f"{light} light, {(list(BACKGROUNDS) * 2)[first + shift]} background"
                for shift in range(len(BACKGROUNDS))
                for light in (LIGHTS[(n // 3) % 2], LIGHTS[1 - (n // 3) % 2])
            ]
            # A prompt of A in B would let the choice see the test; two equal ones would be one image drawn twice.
            text = next(t for t in either if t not in texts)
            texts.append(text)
            lines += [f"[[{letter}]]", f'id = "{letter.upper()}{n + 1:02d}"', f'text = "{text}"', ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Parse the command line and write the folder."""
    seeds = tomllib.loads((HERE / "seeds.toml").read_text())["pictures"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mpfb2", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--identity", type=int, required=True)
    parser.add_argument("--trigger", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--smoothness", type=float, default=0.0)
    parser.add_argument("--dataset-only", action="store_true")
    arguments = parser.parse_args()
    mesh = load_head(arguments.mpfb2)
    write_pictures(
        mesh,
        arguments.identity,
        arguments.folder / "dataset",
        [i for i in range(*seeds["persona_training"]) if i not in seeds["persona_training_left_out"]],
        f"{arguments.trigger} person",
        arguments.smoothness,
    )
    if arguments.dataset_only:
        return
    write_pictures(
        mesh, arguments.identity, arguments.folder / "references", range(*seeds["persona_references"]), None, 0.0
    )
    write_prompts(arguments.folder / "prompts.toml")


if __name__ == "__main__":
    main()
