"""Put the trained parts together: `assemble.py RUN OUT` writes the diffusers folder in 16 bits, shards under 15 MB."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import torch

HERE = Path(__file__).parent


def main() -> None:
    """Assemble, load back, write manifest.toml with the hash and size of every file."""
    from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    run, out = arguments.run, arguments.out
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(run / "vae").half(),
        text_encoder=CLIPTextModel.from_pretrained(run / "text_encoder").half(),
        tokenizer=CLIPTokenizer.from_pretrained(run / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(run / "unet").half(),
        scheduler=DDPMScheduler.from_pretrained(run / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    for part in ("vae", "text_encoder", "tokenizer", "unet", "scheduler"):
        shutil.rmtree(out / part, ignore_errors=True)
    pipeline.save_pretrained(out, safe_serialization=True, max_shard_size="14MB")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(run / "tokenizer" / name, out / "tokenizer" / name)
    for path in out.glob("*/config.json"):
        # Where the parts were trained says nothing of the base and would make its hash differ from machine to machine.
        config = {key: value for key, value in json.loads(path.read_text()).items() if key != "_name_or_path"}
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    loaded = StableDiffusionPipeline.from_pretrained(out, local_files_only=True, torch_dtype=torch.float32)
    if not all(torch.isfinite(p).all() for p in [*loaded.unet.parameters(), *loaded.vae.parameters()]):
        raise ValueError(f"{out}: accepted finite weights, got some that overflow 16 bits")
    seeds = tomllib.loads((HERE / "seeds.toml").read_text())
    files = sorted(
        p
        for p in out.rglob("*")
        if p.is_file()
        and "build" not in p.parts
        and p.name not in ("manifest.toml", "README.md")
        and "LICENSES" not in p.parts
    )
    lines = [
        "# What assemble.py wrote: SHA-256 and bytes of every file of the base.",
        f"identities = {seeds['identities']['base']}",
        "",
        "[files]",
    ]
    for path in files:
        data = path.read_bytes()
        lines.append(
            f'"{path.relative_to(out).as_posix()}" = {{ sha256 = "{hashlib.sha256(data).hexdigest()}", bytes = {len(data)} }}'
        )
    (out / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{sum(p.stat().st_size for p in files) / 1e6:.1f} MB in {len(files)} files")


if __name__ == "__main__":
    main()
