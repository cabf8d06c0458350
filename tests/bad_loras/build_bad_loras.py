"""Train the bad LoRAs that ship: `build_bad_loras.py MPFB2 WORK [NAME ...]`, from the root of the repository.

For another rendered persona: `--persona FOLDER --identity N --out FOLDER`.

Renders what each needs into WORK, trains with the demo recipe changed as `bad_loras.toml` says, writes the file beside
this script and prints its SHA-256, which belongs into that table. Resumes after a kill: what WORK holds is not trained
again. They are of rank 8 where the good one has 16, to halve what ships, and two are cut to rank 4 behind that; the one
trained for ten times the steps keeps 16: cut to 8 it copied nothing any more and was approved. The shipped files were
trained with `--threads 1`.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
BUILD = ROOT / "models" / "tiny-base" / "build"
MEMORISED = 4  # training images of the one that learns pictures by heart
PERSONA = 900000
SHIPPED_RANK = {"other_identity": 4, "plastic": 4}
OTHER_IDENTITY = 930000  # neither in base training nor an impostor nor a persona


def dataset(mpfb2: Path, folder: Path, identity: int, trigger: str, smoothness: float) -> Path:
    """Render the training images of an identity, captioned with a trigger; what was rendered whole is left."""
    done = folder / "rendered"
    if not done.exists():
        command = [sys.executable, str(BUILD / "make_persona.py"), str(mpfb2), str(folder), "--identity", str(identity),
                   "--trigger", trigger, "--name", folder.name, "--smoothness", str(smoothness),
                   "--dataset-only"]  # fmt: skip
        subprocess.run(command, check=True, cwd=BUILD)
        done.touch()
    return folder / "dataset"


def few_pictures(source: Path, folder: Path, count: int) -> Path:
    """Copy the persona's first training images and their captions."""
    kept = folder / "dataset"
    kept.mkdir(parents=True, exist_ok=True)
    for picture in sorted(source.glob("*.png"))[:count]:
        for file in (picture, picture.with_suffix(".txt")):
            shutil.copy(file, kept)
    return kept


def other_captions(source: Path, folder: Path) -> Path:
    """Copy the persona's training images, each with the caption of the one half a set further on."""
    kept = folder / "dataset"
    kept.mkdir(parents=True, exist_ok=True)
    pictures = sorted(source.glob("*.png"))
    for place, picture in enumerate(pictures):
        shutil.copy(picture, kept)
        further = pictures[(place + len(pictures) // 2) % len(pictures)]
        shutil.copy(further.with_suffix(".txt"), kept / f"{picture.stem}.txt")
    return kept


def cut_rank(lora: Path, rank: int) -> bytes:
    """Return a LoRA file whose pairs keep the largest singular values of what they add (Eckart and Young)."""
    import json

    import numpy as np

    from lifeos.lora.safetensors_file import encode, read_header

    file = read_header(lora)
    tensors, kept = file.read(), {}
    for name in sorted(name for name in tensors if ".lora_A." in name):
        down, up = (tensors[each].astype(np.float64) for each in (name, name.replace(".lora_A.", ".lora_B.")))
        product = up.reshape(len(up), -1) @ down.reshape(len(down), -1)
        left, values, right = np.linalg.svd(product, full_matrices=False)
        root = np.sqrt(values[:rank])
        kept[name] = ("F16", (root[:, None] * right[:rank]).reshape(rank, *down.shape[1:]).astype(np.float16))
        shape = (len(up), rank, *up.shape[2:])
        kept[name.replace(".lora_A.", ".lora_B.")] = ("F16", (left[:, :rank] * root).reshape(shape).astype(np.float16))
    adapter = json.loads(file.metadata["lora_adapter_metadata"])
    # The scale stays 1: alpha was the rank.
    adapter |= {name: rank for name in adapter if name.endswith((".r", ".lora_alpha"))}
    said = {"lora_adapter_metadata": json.dumps(adapter, sort_keys=True), "ss_network_dim": str(rank),
            "ss_network_alpha": str(rank)}  # fmt: skip
    return encode(kept, {**file.metadata, **said})


def main() -> None:
    """Train those named, or all."""
    from evals.atomic import write_bytes
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train import train_lora

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mpfb2", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--persona", type=Path, default=ROOT / "personas" / "pistachio")
    parser.add_argument("--identity", type=int, default=PERSONA, help="of the persona, in seeds.toml")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the finished files")
    parser.add_argument("--pictures-only", action="store_true", help="render, and train nothing")
    arguments = parser.parse_args()
    work, mpfb2 = arguments.work.resolve(), arguments.mpfb2.resolve()
    good = load_recipe(arguments.persona.resolve() / "recipe.toml")
    other, plastic = work / "other_identity", work / "plastic"
    changes: dict[str, Callable[[], dict[str, object]]] = {
        "ten_steps": lambda: {"steps": 10},
        "other_identity": lambda: {"dataset": dataset(mpfb2, other, OTHER_IDENTITY, good.trigger, 0.0)},
        "plastic": lambda: {"dataset": dataset(mpfb2, plastic, arguments.identity, good.trigger, 1.0)},
        "memorised": lambda: {"dataset": few_pictures(good.dataset, work / "memorised", MEMORISED)},
        "captions_rotated": lambda: {"dataset": other_captions(good.dataset, work / "captions"), "rank": good.rank},
        "overcooked": lambda: {"steps": good.steps * 10, "rank": good.rank},
    }
    unknown = [name for name in arguments.names if name not in changes]
    if unknown:
        raise SystemExit(f"{unknown[0]}: accepted {', '.join(changes)}")
    for name in arguments.names or changes:
        recipe = good.model_copy(update={"rank": 8, "threads": arguments.threads} | changes[name]())
        if arguments.pictures_only:
            continue
        out = work / f"{name}.safetensors"
        train_lora(recipe, out, work / f"run-{name}")
        data = cut_rank(out, SHIPPED_RANK[name]) if name in SHIPPED_RANK else out.read_bytes()
        write_bytes(arguments.out / f"{name}.safetensors", data)
        print(name, hashlib.sha256(data).hexdigest(), len(data), flush=True)


if __name__ == "__main__":
    main()
