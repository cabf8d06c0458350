"""Count what one call of a base's parts computes: ``python -m benchmarks.count_operations sd15``.

Modules are built without weights (torch's meta device), so nothing is downloaded and little memory is used. The counts
are what ``lifeos/pods/throughput.toml`` holds as ``work``.
"""

import contextlib
import io
import sys
from collections.abc import Callable
from typing import Any

RANK, TOKENS, SIDE = 16, 77, 512
# Operators that only look at a tensor differently start no kernel.
_VIEWS = (
    "view", "reshape", "permute", "transpose", "aten::t", "expand", "slice", "unsqueeze", "select", "detach", "split",
    "chunk", "as_strided", "alias", "aten::is_", "_has", "sym",
)  # fmt: skip


def count(call: Callable[[], Any]) -> dict[str, float]:
    """Return ``linear_gflop``, ``attention_gflop`` and ``operators`` of a call, its backward pass included."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    class Operators(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if not any(word in function.name() for word in _VIEWS):
                Operators.seen += 1
            return function(*args, **(kwargs or {}))

    with FlopCounterMode(display=False) as counter, Operators():
        call()
    counts = {str(name): value / 1e9 for name, value in counter.get_flop_counts().get("Global", {}).items()}
    attention = sum(value for name, value in counts.items() if "bmm" in name or "attention" in name)
    linear = sum(counts.values()) - attention
    return {"linear_gflop": linear, "attention_gflop": attention, "operators": Operators.seen}


def prodigy_operators(parameters: int) -> int:
    """Return the operators of clipping and one Prodigy step over ``parameters`` tensors; they grow linearly."""
    import torch
    from prodigyopt import Prodigy

    seen = []
    for number in (10, 20):
        tensors = [torch.nn.Parameter(torch.randn(4, 4)) for _ in range(number)]
        for tensor in tensors:
            tensor.grad = torch.randn(4, 4)
        with contextlib.redirect_stdout(io.StringIO()):
            optimizer = Prodigy(tensors, lr=1.0, weight_decay=0.01, use_bias_correction=True, safeguard_warmup=True)
        optimizer.step()

        def step(tensors: Any = tensors, optimizer: Any = optimizer) -> None:
            torch.nn.utils.clip_grad_norm_(tensors, 1.0)
            optimizer.step()

        seen.append(count(step)["operators"])
    each = (seen[1] - seen[0]) / 10
    return round(seen[0] + each * (parameters - 10))


def sd15() -> dict[str, dict[str, float]]:
    """Count Stable Diffusion 1.5 at 512 pixels, one image a call: its configuration, written out."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from peft import LoraConfig

    from lifeos.lora.families.tiny_base import TinyBase

    latent = SIDE // 8
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=latent, cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=2,
        )  # fmt: skip
        unet.requires_grad_(False)
        noisy, text = torch.randn(1, 4, latent, latent), torch.randn(1, TOKENS, 768)
        timestep = torch.randint(0, 1000, (1,))
        with torch.no_grad():
            counted = {
                "denoise": count(lambda: unet(noisy, timestep, text)),
                "decode": count(lambda: vae.decode(noisy)),
                "encode": count(lambda: vae.encode(torch.randn(1, 3, SIDE, SIDE))),
            }
        unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=sorted(TinyBase().target_suffixes("full"))))
        trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
        step = count(lambda: unet(noisy, timestep, text).sample.square().mean().backward())
    step["operators"] += prodigy_operators(len(trained))
    return {"train": step, **counted}


def main(arguments: list[str]) -> int:
    """Print the counts of a family as TOML values."""
    families = {"sd15": sd15}
    if len(arguments) != 1 or arguments[0] not in families:
        known = ", ".join(families)
        print(f"accepted one of {known}; next: python -m benchmarks.count_operations sd15", file=sys.stderr)
        return 2
    for operation, counts in families[arguments[0]]().items():
        print(f"{operation}: " + ", ".join(f"{name} = {value:.10g}" for name, value in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
