"""Train the bad LoRAs that ship: `build_bad_loras.py MPFB2 WORK [NAME ...]`, from the root of the repository.

Renders what each needs into WORK, trains with the demo recipe changed in the one way its name says, and writes the file
and its SHA-256 beside this script. Resumes after a kill: a LoRA that is there and matches its hash is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
BUILD = ROOT / "models" / "tiny-base" / "build"
OTHER_IDENTITY = 930000  # neither in base training nor an impostor nor a persona


def dataset(mpfb2: Path, folder: Path, identity: int, smoothness: float) -> Path:
    """Render the training images of an identity, captioned with the demo's trigger."""
    command = [
        sys.executable,
        str(BUILD / "make_persona.py"),
        str(mpfb2),
        str(folder),
        "--identity",
        str(identity),
        "--trigger",
        "pstch",
        "--name",
        folder.name,
        "--smoothness",
        str(smoothness),
        "--dataset-only",
    ]
    subprocess.run(command, check=True, cwd=BUILD)
    return folder / "dataset"


def main() -> None:
    """Train those named, or all."""
    from evals.atomic import write_bytes
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train import train_lora

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mpfb2", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    good = load_recipe(ROOT / "personas" / "pistachio" / "recipe.toml")
    for name in arguments.names or ("ten_steps", "other_identity", "plastic", "overcooked"):
        recipe = good
        if name == "ten_steps":
            recipe = good.model_copy(update={"steps": 10})
        elif name == "overcooked":
            recipe = good.model_copy(update={"steps": good.steps * 10})
        elif name == "other_identity":
            recipe = good.model_copy(
                update={"dataset": dataset(arguments.mpfb2.resolve(), work / name, OTHER_IDENTITY, 0.0)}
            )
        elif name == "plastic":
            recipe = good.model_copy(update={"dataset": dataset(arguments.mpfb2.resolve(), work / name, 900000, 1.0)})
        else:
            raise SystemExit(f"{name}: accepted ten_steps, other_identity, plastic or overcooked")
        out = work / f"{name}.safetensors"
        train_lora(recipe, out, work / f"run-{name}")
        data = out.read_bytes()
        write_bytes(HERE / f"{name}.safetensors", data)
        print(name, hashlib.sha256(data).hexdigest(), len(data), flush=True)


if __name__ == "__main__":
    main()
