"""What both trainings share: the options of their command line, and the choice of device and number type."""

from __future__ import annotations

import argparse
from pathlib import Path


def training_parser(description: str | None, steps: int, batch: int, rate: float) -> argparse.ArgumentParser:
    """A parser with the shared options; `steps`, `batch` (pictures) and `rate` (peak learning rate) are the defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0 leaves the choice to torch")
    parser.add_argument("--start-from", type=Path, help="assembled base to go on from where there is no checkpoint yet")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop with a checkpoint after this long")
    return parser


def choose_device(threads: int) -> tuple[str, bool]:
    """`cuda` where there is one, else `cpu` with `threads`; and whether bfloat16 pays there."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return device, device == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # twelve times slower in software
